"""A source that has an end: read as fast as it is asked, and nothing is dropped."""

from __future__ import annotations

from dataclasses import replace

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.closing import Closing
from effvit_edge.core.errors import EdgeError
from effvit_edge.core.video import Losses, TimestampRepair
from effvit_edge.sources.base import End, Frame, Health, Timeout
from effvit_edge.sources.capture import Connect, Grabbed, Handover

_DEFAULT_FPS = 25.0


class DirectSource(Closing):
    """Reads a backend in the thread that asks.

    Args:
        name: each record's ``source``, without secrets.
        connect: opens the backend, here and now.
        clock: measures the conversion of pictures.

    Raises:
        InputError: the backend has nothing that can be used.
        EnvironmentFault: a library, a permission or the server is missing.
    """

    is_live = False

    def __init__(self, name: str, connect: Connect, clock: Clock | None = None) -> None:
        self.name = name
        self.losses = Losses()
        self._capture = connect(self.losses)
        self._handover = Handover(self._capture.close)
        self.nominal_fps = self._capture.nominal_fps
        self.expected_frames = self._capture.expected_frames
        self._clock = clock or MonotonicClock()
        self._times = TimestampRepair(1 / (self.nominal_fps or _DEFAULT_FPS))
        self._health = Health("playing", self._capture.backend)
        self._index = 0
        self._ended = False

    def read(self, timeout: float | None = None) -> Frame | Timeout | End:
        """See ``Source.read``."""
        with self._handover.using() as usable:
            if not usable or self._ended:
                return End()
            grabbed = self._grab()
        if grabbed is None:
            self._ended = True
            self._health = replace(self._health, state="ended")
            return End()
        frame = Frame(
            self._index,
            self._times.next(grabbed.pts_seconds),
            grabbed.arrival_seconds,
            grabbed.grab_ms,
            grabbed.load,
            self._clock,
        )
        self._index += 1
        return frame

    def _grab(self) -> Grabbed | None:
        try:
            while isinstance(grabbed := self._capture.grab(), Timeout):
                if self._handover.asked:
                    return None
        except EdgeError as error:
            self._ended = True
            self._health = replace(self._health, state="failed", last_error=str(error))
            raise
        return grabbed

    @property
    def health(self) -> Health:
        """See ``Source.health``."""
        return self._health

    def close(self) -> None:
        """See ``Source.close``."""
        self._handover.close()
