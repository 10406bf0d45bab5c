"""Reading pictures one after another from any moment on: what the kinds of storage differ in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from effvit_edge.core.video import Losses
from effvit_edge.data.types import Frames


@dataclass(frozen=True, eq=False)
class Shown:
    """One picture and when it is shown."""

    seconds: float
    """From the beginning of the footage."""
    to_rgb: Callable[[], Frames]
    """Makes its ``(H, W, 3)`` uint8 RGB; only pictures that are wanted are converted."""


class Strip(Protocol):
    """An open file or folder, read forwards. Times are seconds from its first picture."""

    @property
    def losses(self) -> Losses:
        """What could not be used, as far as it was read."""
        ...

    def duration_s(self) -> float:
        """How long it states that it is."""
        ...

    def go_to(self, seconds: float) -> None:
        """Let the next picture be one at or before ``seconds``; the first where there is none.

        Called before anything is read, and between reads.
        """
        ...

    def gains(self, now: float, seconds: float) -> bool:
        """Whether going to ``seconds`` is quicker than reading on from ``now``."""
        ...

    def read(self) -> Shown | None:
        """The next picture, later than the one before; None at the end.

        Raises:
            InputError: nothing in it can be decoded.
        """
        ...

    def close(self) -> None:
        """Give the files back."""
        ...
