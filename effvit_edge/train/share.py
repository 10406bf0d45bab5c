"""Evaluation sequences, shared out among processes."""

from __future__ import annotations

from effvit_edge.data.types import LabelledSequence, RunSequences


class Share:
    """Every so many-th of some sequences.

    Args:
        sequences: all of them.
        first: the first to take.
        step: how far apart those taken lie.
    """

    def __init__(self, sequences: RunSequences, first: int, step: int) -> None:
        self._sequences = sequences
        self.groups = sequences.groups
        self.failed = sequences.failed
        self.failures = sequences.failures
        self._indices = range(first, len(sequences), step)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> LabelledSequence | None:
        return self._sequences[self._indices[index]]
