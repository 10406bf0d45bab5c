"""What every kind of footage gives: pictures by time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from effvit_edge.core.video import Losses
from effvit_edge.data.types import Frames


class Footage(Protocol):
    """The pictures of one segment. Opening costs nothing; files are opened when read.

    Times are seconds from the segment's start. Before it there may be footage too (negative
    times), as far as ``lead_s`` says; what lies at or after the segment's end is never given.
    Frames are ``(H, W, 3)`` uint8 RGB, upright.
    """

    losses: Losses
    """Of the file's own frames, by the last time that it was read."""

    def duration_s(self) -> float:
        """Length of the segment: as listed, or as the file states it; the true one may be less.

        Raises:
            InputError: the file cannot be opened.
        """
        ...

    def lead_s(self) -> float:
        """Seconds of footage before the segment's start."""
        ...

    def frames_at(self, times_s: Sequence[float]) -> Iterator[Frames]:
        """The frame nearest to each time, one for each, by seeking and not from the file's start.

        Args:
            times_s: not decreasing. A time beyond the end gets the last frame there is, a time
                before the first frame gets that. Of two frames equally near it is the earlier.

        Yields:
            One frame a time; the very same object again where the frame is the same.

        Raises:
            InputError: nothing there can be decoded.
        """
        ...

    def at_rate(self, fps: float, from_s: float = 0.0) -> Iterator[tuple[float, Frames]]:
        """What a stream at ``fps`` would be shown from ``from_s`` on, to the segment's end.

        The same choice as live labelling makes: ``core.sampling.RateSampler`` on the file's own
        timestamps, its grid beginning with the first frame at or after ``from_s``. Where there is
        none before the segment's end, the last frame before that end stands for ``from_s``.

        Args:
            fps: frames a second.
            from_s: seconds from the segment's start; negative: before it.

        Yields:
            Each frame with its time, seconds from the segment's start.

        Raises:
            InputError: nothing there can be decoded.
        """
        ...
