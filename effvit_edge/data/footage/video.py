"""A video file as a strip: sought where that is safe, else decoded from its start."""

from __future__ import annotations

from pathlib import Path

from effvit_edge.core.errors import EnvironmentFault, InputError
from effvit_edge.core.video import BrokenOff, Losses, VideoReader, check_file
from effvit_edge.data.footage.strip import Shown

_FAR_S = 10.0
"""A seek over more than this is tried where a file's index does not say that it gains."""


class VideoStrip:
    """See :class:`effvit_edge.data.footage.strip.Strip`.

    Args:
        path: a video file.

    Raises:
        InputError: it may not be read, is encrypted, or is no video.
        EnvironmentFault: PyAV is not installed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader = _open(path)
        self._origin = self._reader.start_seconds
        self._seekable = self._origin is not None

    @property
    def losses(self) -> Losses:
        """Of the file, as far as it was read."""
        return self._reader.losses

    def duration_s(self) -> float:
        """As stated, else found by decoding everything."""
        stated = self._reader.duration_seconds()
        if stated is not None:
            return stated
        last = 0.0
        while (shown := self.read()) is not None:
            last = shown.seconds
        return last

    def go_to(self, seconds: float) -> None:
        """See ``Strip.go_to``."""
        if seconds <= 0 or not self._seekable or self._origin is None:
            return  # at the start already, or to be read from there
        if not self._reader.seek(self._origin + seconds):
            self._seekable = False
            self._reader.close()
            self._reader = _open(self._path)

    def gains(self, now: float, seconds: float) -> bool:
        """See ``Strip.gains``."""
        if not self._seekable or self._origin is None:
            return False
        keyframe = self._reader.keyframe_seconds(self._origin + seconds)
        if keyframe is None:
            return seconds - now > _FAR_S
        return keyframe - self._origin > now

    def read(self) -> Shown | None:
        """See ``Strip.read``."""
        try:
            picture = self._reader.read()
        except BrokenOff:  # the losses tell
            return None
        if picture is None:
            return None
        if self._origin is None:
            self._origin = picture.pts_seconds
        return Shown(picture.pts_seconds - self._origin, picture.to_rgb)

    def close(self) -> None:
        """See ``Strip.close``."""
        self._reader.close()


def _open(path: Path) -> VideoReader:
    try:
        check_file(path)
    except EnvironmentFault as error:  # one file of many, which can do without it
        raise InputError(str(error)) from error
    # No decoder threads: clips are decoded by several processes, and a process that is forked
    # while a decoder has threads can hang when it lets go of its copy.
    return VideoReader(path, threads=False)
