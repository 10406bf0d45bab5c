"""Frames that are in memory already: a fake for tests, and a way in for people who embed this."""

from __future__ import annotations

from collections.abc import Iterable

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.closing import Closing
from effvit_edge.core.video import Losses
from effvit_edge.sources.base import End, Frame, Health, Image, Timeout


class MemorySource(Closing):
    """Plays what it is given.

    Args:
        frames: pairs of a time in seconds and an image ``(H, W, 3)`` uint8 RGB, or an exception,
            which ``read`` raises when it is reached.
        name: each record's ``source``.
        is_live: whether to pass for a camera.
        clock: stamps the arrivals.
    """

    def __init__(
        self,
        frames: Iterable[tuple[float, Image] | Exception],
        name: str = "memory",
        is_live: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.is_live = is_live
        self.losses = Losses()
        self.expected_frames: int | None = None
        self.nominal_fps: float | None = None
        self._frames = iter(frames)
        self._clock = clock or MonotonicClock()
        self._index = 0

    def read(self, timeout: float | None = None) -> Frame | Timeout | End:
        """See ``Source.read``."""
        item = next(self._frames, None)
        if item is None:
            return End()
        if isinstance(item, Exception):
            raise item
        pts_seconds, image = item
        arrival = self._clock.now()
        frame = Frame(self._index, pts_seconds, arrival, 0.0, lambda: image, self._clock)
        self._index += 1
        return frame

    @property
    def health(self) -> Health:
        """See ``Source.health``."""
        return Health("playing", "memory")

    def close(self) -> None:
        """See ``Source.close``."""
        self._frames = iter(())
