"""A video file as a source: every frame that decodes, in the order of presentation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.closing import Closing
from effvit_edge.core.errors import EdgeError
from effvit_edge.core.video import BrokenOff, Picture, VideoReader
from effvit_edge.sources.base import End, Frame, Health, SourceError, Timeout
from effvit_edge.sources.capture import Handover


class FileSource(Closing):
    """Reads a video file as ``VideoReader`` does, and says when and how fast.

    Args:
        path: a video file.
        name: each record's ``source``; the path when not given.
        clock: stamps the arrivals and measures the decoding.

    Raises:
        InputError: the file is missing, empty, not a video, encrypted, or has no picture.
        EnvironmentFault: PyAV is not installed, or the file may not be read.
    """

    is_live = False

    def __init__(self, path: Path, name: str | None = None, clock: Clock | None = None) -> None:
        self.name = str(path) if name is None else name
        self._reader = VideoReader(path)
        self._handover = Handover(self._reader.close)
        self.losses = self._reader.losses
        self.nominal_fps = self._reader.nominal_fps
        self.expected_frames = self._reader.expected_frames
        self._clock = clock or MonotonicClock()
        self._health = Health("playing", "PyAV, software")
        self._count = 0

    def read(self, timeout: float | None = None) -> Frame | Timeout | End:
        """See ``Source.read``."""
        started = self._clock.now()
        with self._handover.using() as usable:
            picture = self._next() if usable else None
        if picture is None:
            return End()
        arrival = self._clock.now()
        grab_ms = (arrival - started) * 1000
        frame = Frame(
            self._count, picture.pts_seconds, arrival, grab_ms, picture.to_rgb, self._clock
        )
        self._count += 1
        return frame

    @property
    def health(self) -> Health:
        """See ``Source.health``."""
        return self._health

    def close(self) -> None:
        """See ``Source.close``."""
        self._handover.close()

    def _next(self) -> Picture | None:
        try:
            picture = self._reader.read()
        except BrokenOff as error:
            text = f"{self.name} could not be read to its end: {error}."
            self._health = replace(self._health, state="failed", last_error=text)
            raise SourceError(text) from error
        except EdgeError as error:
            self._health = replace(self._health, state="failed", last_error=str(error))
            raise
        if picture is None and self._health.state == "playing":
            self._health = replace(self._health, state="ended")
        return picture
