"""H.264 in MP4, each picture shown at the time it is given, whatever the distance to the next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from effvit_edge.core.errors import EdgeError
from effvit_edge.core.files import atomic_path
from effvit_edge.core.optional import require
from effvit_edge.core.preprocess import resize_frame
from effvit_edge.sinks.base import Image, partial_path, prepare, writing

TICKS_PER_SECOND = 90_000
_TIME_BASE = Fraction(1, TICKS_PER_SECOND)
_DEFAULT_FPS = 25.0
_KEYFRAME_SECONDS = 2.0
_BT709, _LIMITED_RANGE = 1, 1
# While it grows the file is in fragments, each playable once written; at the end it is written
# again in one piece with the index in front, so that a browser can start before it has it all.
# The movie's time scale is the track's, or a late start would be rounded to milliseconds.
_SCALE = {"movie_timescale": str(TICKS_PER_SECOND)}
_GROWING = {
    **_SCALE,
    "movflags": "frag_keyframe+delay_moov+default_base_moof",
    "flush_packets": "1",
}
_COMPLETE = {**_SCALE, "movflags": "+faststart"}


def fit_picture(image: Image, height: int, width: int) -> Image:
    """A picture on a canvas of a video's size.

    As it is, its last row and column repeated where a side is one short; scaled to fit, on black,
    where it has another size.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        height: the canvas's, in pixels.
        width: the canvas's, in pixels.

    Returns:
        ``(height, width, 3)`` uint8 RGB, contiguous.
    """
    rows, columns = image.shape[:2]
    below, right = height - rows, width - columns
    if (below, right) == (0, 0):
        return np.ascontiguousarray(image)
    if below in (0, 1) and right in (0, 1):
        return np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge")
    scale = min(height / rows, width / columns)
    rows = min(height, max(1, round(rows * scale)))
    columns = min(width, max(1, round(columns * scale)))
    top, left = (height - rows) // 2, (width - columns) // 2
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[top : top + rows, left : left + columns] = resize_frame(image, rows, columns)
    return canvas


class VideoSink:
    """Writes a video file of the first picture's size, its sides made even.

    Pictures of another size that come later are fitted into it, on black.

    Args:
        path: the final name, ending in ``.mp4``, replaced when the new file is complete.
        nominal_fps: the rate to state; the times of the pictures do not depend on it.
        crf: x264's quality, lower is better.
        preset: x264's speed.
    """

    def __init__(
        self,
        path: Path,
        nominal_fps: float | None = None,
        crf: int = 20,
        preset: str = "veryfast",
    ) -> None:
        self._av = require("av", "video")
        self._path = path
        self._fps = nominal_fps or _DEFAULT_FPS
        # No B-frames: pictures leave the encoder in the order of their times.
        keyint = max(1, round(self._fps * _KEYFRAME_SECONDS))
        self._options = {"preset": preset, "crf": str(crf), "bf": "0", "g": str(keyint)}
        self._container: Any = None
        self._stream: Any = None
        self._reformatter = self._av.video.reformatter.VideoReformatter()
        self._last_ticks: int | None = None
        self._result: Path | None = None

    def write(self, image: Image, pts_seconds: float) -> None:
        """See ``PictureSink.write``."""
        if self._container is None:
            self._open(image.shape[0], image.shape[1])
        picture = self._av.VideoFrame.from_numpy_buffer(
            fit_picture(image, self._height, self._width), format="rgb24"
        )
        picture = self._reformatter.reformat(
            picture, format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED_RANGE
        )
        ticks = round(pts_seconds * TICKS_PER_SECOND)
        if self._last_ticks is not None:
            ticks = max(ticks, self._last_ticks + 1)
        self._last_ticks = ticks
        picture.pts, picture.time_base = ticks, _TIME_BASE
        self._encode(picture)

    def close(self, complete: bool) -> Path | None:
        """See ``PictureSink.close``."""
        if self._container is not None:
            try:
                self._encode(None)
            finally:
                container, self._container = self._container, None
                with self._writing():
                    container.close()
            self._result = self._finish() if complete else partial_path(self._path)
        return self._result

    def _open(self, height: int, width: int) -> None:
        self._height, self._width = height + height % 2, width + width % 2
        partial = prepare(self._path)
        with self._writing():
            self._container = self._av.open(f"file:{partial}", "w", format="mp4", options=_GROWING)
            stream = self._container.add_stream(
                "libx264", rate=Fraction(self._fps).limit_denominator(1001), options=self._options
            )
        stream.width, stream.height, stream.pix_fmt = self._width, self._height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = _TIME_BASE
        stream.codec_context.colorspace = stream.codec_context.color_primaries = _BT709
        stream.codec_context.color_trc = _BT709
        stream.codec_context.color_range = _LIMITED_RANGE
        self._stream = stream

    def _encode(self, picture: Any) -> None:
        with self._writing():
            for packet in self._stream.encode(picture):
                self._container.mux(packet)

    def _finish(self) -> Path:
        """Write the fragments again as one piece, under the final name."""
        partial = partial_path(self._path)
        with self._writing(), atomic_path(self._path) as target:
            self._copy(partial, target)
        partial.unlink(missing_ok=True)
        return self._path

    def _copy(self, partial: Path, target: Path) -> None:
        with (
            self._av.open(f"file:{partial}") as grown,
            self._av.open(f"file:{target}", "w", format="mp4", options=_COMPLETE) as whole,
        ):
            source = grown.streams.video[0]
            copy = whole.add_stream_from_template(source)
            for packet in grown.demux(source):
                if packet.dts is not None:
                    packet.stream = copy
                    whole.mux(packet)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Map FFmpeg's errors, and the system's, to ours."""
        try:
            with writing(self._path):
                yield
        except self._av.FFmpegError as error:
            raise EdgeError(f"Encoding {self._path} failed: {error.strerror}.") from error
