"""What a dataset gives: training clips by number, and sequences for evaluation.

Notation: T frames, H W pixels, V views, G label groups, C labels of a multi-label group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from effvit_edge.core.card import LabelGroup
from effvit_edge.data.failures import Failures

IGNORE = -1
"""In targets: there is no answer to this."""

Frames: TypeAlias = npt.NDArray[np.uint8]
"""``(T, H, W, 3)`` uint8 RGB."""
Targets: TypeAlias = npt.NDArray[np.int64]
"""``(T, G)`` class numbers, one for each label group; or, for a group whose labels do not exclude
each other, ``(T, C)`` zeros and ones. ``IGNORE`` where a frame has no label."""


@dataclass(frozen=True)
class LabelledSequence:
    """One video or segment to evaluate on, already at the model's input size."""

    name: str
    frames: Frames
    """``(T, H, W, 3)`` at the model's rate, to be cut into clips by whoever needs clips; or
    ``(V, T, H, W, 3)``, the views that are to be answered and averaged."""
    targets: Targets
    """``(T, …)``, one row a frame; ``(1, …)`` for views."""


class TrainingClips(Protocol):
    """An endless stream of training clips, each a pure function of its number.

    Because clip ``k`` does not depend on which process makes it or on what came before, a run
    resumes exactly by starting at the right number, with any count of workers.
    """

    groups: tuple[LabelGroup, ...]
    """What the network answers; more than one group only if all are exclusive."""
    epoch_clips: int | None
    """Clips in one pass over the data; None when it is rendered and has no end."""
    failed: Failures
    """What had to be left out, and how much of it is too much."""
    failures: list[str]
    """Its sentences."""

    def __getitem__(self, number: int) -> tuple[Frames, Targets]:
        """Training clip ``number``, augmented."""
        ...

    def name(self, number: int) -> str:
        """Which file or segment clip ``number`` is made from, for messages."""
        ...


class EvaluationSequences(Protocol):
    """Sequences to evaluate on, always the same."""

    groups: tuple[LabelGroup, ...]
    failures: list[str]
    """A sentence for each file that had to be left out."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> LabelledSequence | None:
        """Sequence ``index``; None where it cannot be read, which ``failures`` then tells."""
        ...


class RunSequences(EvaluationSequences, Protocol):
    """One process's share of what a run evaluates on."""

    failed: Failures
    """What had to be left out of all shares, as far as this process knows."""


def iterate(sequences: EvaluationSequences) -> Iterator[LabelledSequence]:
    """All sequences that can be read, in order."""
    for index in range(len(sequences)):
        sequence = sequences[index]
        if sequence is not None:
            yield sequence
