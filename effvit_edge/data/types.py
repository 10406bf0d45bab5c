"""What a dataset gives: training clips by number, and sequences for evaluation.

Notation: T frames, H W pixels. Frames are RGB uint8. Labels are class numbers, one a frame;
``IGNORE`` marks a frame that has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

IGNORE = -1

Frames: TypeAlias = npt.NDArray[np.uint8]
"""``(T, H, W, 3)`` uint8 RGB."""
Labels: TypeAlias = npt.NDArray[np.int64]
"""``(T,)`` int64."""


@dataclass(frozen=True)
class LabelledSequence:
    """One sequence to evaluate on, already at the model's input size and rate."""

    name: str
    frames: Frames
    labels: Labels


class TrainingClips(Protocol):
    """An endless stream of training clips, each a pure function of its number.

    Because clip ``k`` does not depend on which process makes it or on what came before, a run
    resumes exactly by starting at the right number, with any count of workers.
    """

    labels: tuple[str, ...]
    epoch_clips: int | None
    """Clips in one pass over the data; None when it is rendered and has no end."""
    failures: list[str]
    """A sentence for each file that had to be left out."""

    def __getitem__(self, number: int) -> tuple[Frames, Labels]:
        """Training clip ``number``, augmented."""
        ...


class EvaluationSequences(Protocol):
    """Sequences to evaluate on, always the same."""

    labels: tuple[str, ...]
    failures: list[str]
    """A sentence for each file that had to be left out."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[LabelledSequence]: ...
