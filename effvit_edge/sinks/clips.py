"""A video around each event: some seconds before it, the event, some seconds after."""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from effvit_edge.core.errors import EdgeError, InputError
from effvit_edge.core.optional import require
from effvit_edge.sinks.base import Image
from effvit_edge.sinks.video import VideoSink

_JPEG_QUALITY = 92
_PLAIN = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True)
class ClipOptions:
    """Where clips go and how long they are.

    Raises:
        InputError: a time is negative.
    """

    folder: Path
    before_seconds: float = 2.0
    after_seconds: float = 2.0
    lag_seconds: float = 1.0
    """How long after its beginning an event may be told at most, for the pictures to be there."""
    max_bytes: int = 128 << 20
    """Of the pictures that are remembered of one source; the oldest go first."""

    def __post_init__(self) -> None:
        for name in ("before_seconds", "after_seconds", "lag_seconds"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(
                    f"The seconds {name.split('_')[0]} an event must be 0 or more, got {value:g}."
                )


class JpegRing:
    """The pictures of the last seconds, as JPEG, bounded in time and in bytes.

    Args:
        seconds: how far back it reaches.
        max_bytes: of all pictures together.
    """

    def __init__(self, seconds: float, max_bytes: int) -> None:
        self._cv2: Any = require("cv2", "video")
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._pictures: deque[tuple[float, Any]] = deque()
        self.held_bytes = 0

    def add(self, image: Image, pts_seconds: float) -> None:
        """Remember a picture ``(H, W, 3)`` uint8 RGB; times increase."""
        bgr = np.ascontiguousarray(image[..., ::-1])
        done, data = self._cv2.imencode(
            ".jpg", bgr, [self._cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        )
        if not done:
            raise EdgeError(f"A picture of {image.shape[1]}x{image.shape[0]} cannot be a JPEG.")
        self._pictures.append((pts_seconds, data))
        self.held_bytes += data.nbytes
        oldest = pts_seconds - self._seconds
        while self._pictures and (
            self._pictures[0][0] < oldest or self.held_bytes > self._max_bytes
        ):
            self.held_bytes -= self._pictures.popleft()[1].nbytes

    def since(self, pts_seconds: float) -> list[tuple[float, Any]]:
        """Times and JPEG data from that time on, oldest first."""
        return [(time, data) for time, data in self._pictures if time >= pts_seconds]

    def decoded(self, data: Any) -> Image:
        """The picture ``(H, W, 3)`` uint8 RGB of what ``since`` gave."""
        bgr = self._cv2.imdecode(data, self._cv2.IMREAD_COLOR)
        return np.ascontiguousarray(bgr[..., ::-1])


class _Clip:
    """One that is being written; its time begins with its first picture."""

    def __init__(self, sink: VideoSink) -> None:
        self._sink = sink
        self._zero: float | None = None
        self.until = math.inf

    def write(self, image: Image, pts_seconds: float) -> None:
        if self._zero is None:
            self._zero = pts_seconds
        self._sink.write(image, pts_seconds - self._zero)

    def close(self) -> Path | None:
        return self._sink.close(True)


class ClipRecorder:
    """Writes the clips of one source; those of events close to each other overlap.

    A clip's own time begins at 0, so that players show it at once.

    Args:
        options: where, and how long.
        source: its name, part of the files' names.
        nominal_fps: the rate to state.
    """

    def __init__(self, options: ClipOptions, source: str, nominal_fps: float | None) -> None:
        self._options = options
        self._stem = _slug(PurePath(source).stem) or "source"
        self._fps = nominal_fps
        self._ring = JpegRing(options.before_seconds + options.lag_seconds, options.max_bytes)
        self._open: dict[int, _Clip] = {}

    def picture(self, image: Image, pts_seconds: float) -> list[Path]:
        """The next picture of the source.

        Returns:
            The clips that it completes, because it comes after them.
        """
        done = [number for number, clip in self._open.items() if pts_seconds > clip.until]
        paths = [path for number in done if (path := self._open.pop(number).close())]
        for clip in self._open.values():
            clip.write(image, pts_seconds)
        self._ring.add(image, pts_seconds)
        return paths

    def begin(self, number: int, label: str, start_seconds: float) -> None:
        """An event began, perhaps some pictures ago; told before the next picture."""
        name = f"{self._stem}-{number:04d}-{_slug(label) or 'label'}.mp4"
        clip = self._open[number] = _Clip(VideoSink(self._options.folder / name, self._fps))
        for pts_seconds, data in self._ring.since(start_seconds - self._options.before_seconds):
            clip.write(self._ring.decoded(data), pts_seconds)

    def end(self, number: int, end_seconds: float) -> None:
        """An event ended; its clip goes on for the seconds after it."""
        self._open[number].until = end_seconds + self._options.after_seconds

    def close(self) -> list[Path]:
        """The source has ended, and so have its clips. Closing twice is allowed."""
        clips, self._open = self._open, {}
        return [path for clip in clips.values() if (path := clip.close())]


def _slug(text: str) -> str:
    """Letters and digits, joined by dashes: what every file system takes."""
    return _PLAIN.sub("-", text).strip("-").lower()[:60]
