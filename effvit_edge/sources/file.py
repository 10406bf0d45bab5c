"""A video file, decoded by PyAV: upright RGB frames with the file's own timestamps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.errors import InputError
from effvit_edge.core.optional import require
from effvit_edge.sources.base import End, Frame, Image, Losses, SourceError
from effvit_edge.sources.diagnose import check_file, unreadable
from effvit_edge.sources.timestamps import TimestampRepair

if TYPE_CHECKING:
    from typing_extensions import Self

_DEFAULT_FPS = 25.0  # for a file that states no rate and misses timestamps
_TAIL_SECONDS = 1.0  # a Matroska file that ends this much before its stated end was cut short
_ENCRYPTED_TAG = "encv"
_ENCRYPTION_INFO = "encryption_info"


class FileSource:
    """Reads a video file from its first frame to its last, and drops none that decodes.

    A packet that does not decode costs the frames that were in it; the rest is used and the loss
    is counted. Rotation and mirroring stated in the file are applied.

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
        check_file(path)
        self._av = require("av", "video")
        self.name = str(path) if name is None else name
        self.losses = Losses()
        self._path = path
        self._clock = clock or MonotonicClock()
        self._container = self._open(path)
        try:
            self._stream = self._video_stream()
        except InputError:
            self._container.close()
            raise
        self._stream.thread_type = "AUTO"
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.nominal_fps = float(rate) if rate else None
        self.expected_frames = self._stated_frames()
        self._times = TimestampRepair(1 / (self.nominal_fps or _DEFAULT_FPS))
        # AVI stores the order of decoding only; FFmpeg guesses the rest, and errs on B-frames.
        self._decoding_times = self._container.format.name == "avi"
        self._reformatter = self._av.video.reformatter.VideoReformatter()
        self._rotation: int | None = None
        self._matrix: tuple[int, int, int, int] | None = None
        self._packets: Iterator[Any] = self._container.demux(self._stream)
        self._decoded: deque[Any] = deque()
        self._count = self._discarded = self._undecodable = 0
        self._last_pts = 0.0
        self._ended = False

    def read(self) -> Frame | End:
        """See ``Source.read``."""
        started = self._clock.now()
        while not self._decoded and not self._ended:
            self._decode_next_packet()
        if not self._decoded:
            return End()
        picture = self._decoded.popleft()
        pts_seconds = self._times.next(self._stated_seconds(picture))
        self.losses.damaged += bool(picture.is_corrupt)
        arrival = self._clock.now()
        grab_ms = (arrival - started) * 1000
        frame = Frame(
            self._count, pts_seconds, arrival, grab_ms, lambda: self._to_rgb(picture), self._clock
        )
        self._count += 1
        self._last_pts = pts_seconds
        return frame

    def close(self) -> None:
        """See ``Source.close``."""
        self._ended = True
        self._decoded.clear()
        self._packets = iter(())
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self, path: Path) -> Any:
        # "file:" keeps a colon in a name from being read as a protocol, and the whitelist keeps
        # a playlist from reaching out to the network.
        options = {"protocol_whitelist": "file"}
        try:
            return self._av.open(f"file:{path}", options=options, metadata_errors="ignore")
        except self._av.FFmpegError as error:
            raise unreadable(path, error.strerror or type(error).__name__) from error

    def _video_stream(self) -> Any:
        videos = [s for s in self._container.streams.video if not _is_cover(s)]
        if not videos:
            others = sorted({stream.type for stream in self._container.streams})
            found = f"only {' and '.join(others)}" if others else "no streams"
            raise InputError(f"{self._path} has no video in it, {found}. Give a file with video.")
        stream = videos[0]
        if stream.codec_context is None:
            raise InputError(f"{self._path} uses a codec that this FFmpeg cannot decode.")
        if stream.codec_tag == _ENCRYPTED_TAG:
            raise self._encrypted()
        return stream

    def _stated_frames(self) -> int | None:
        if self._stream.frames:
            return int(self._stream.frames)
        if self._container.duration and self.nominal_fps:
            return round(float(self._container.duration) / 1e6 * self.nominal_fps)
        return None

    def _decode_next_packet(self) -> None:
        try:
            packet = next(self._packets, None)
        except self._av.FFmpegError as error:
            self._stop(f"reading stopped: {error.strerror}")
            return
        if packet is None:
            self._stop(None)
            return
        if packet.size and packet.has_sidedata(_ENCRYPTION_INFO):
            raise self._encrypted()
        self._discarded += bool(packet.size and packet.is_discard)
        try:
            self._decoded.extend(packet.decode())
        except self._av.FFmpegError as error:
            self._undecodable += 1
            self.losses.add(1, f"a packet does not decode: {error.strerror}")

    def _stop(self, reason: str | None) -> None:
        """Take stock at the end: what the file said it had against what came out of it."""
        self._ended = True
        given = self._count + len(self._decoded)
        if reason:
            self.losses.add(0, reason)
            if given:
                raise SourceError(f"{self.name} could not be read to its end: {reason}.")
        if not given:
            raise self._nothing()
        missing = self._missing_frames(given) - self.losses.frames
        if missing > 0:
            self.losses.add(missing, "the file states more frames than it holds")

    def _missing_frames(self, given: int) -> int:
        if self._stream.frames:
            return int(self._stream.frames) - self._discarded - given
        end = self._stated_end_seconds()
        if end is None or not self.nominal_fps:
            return 0
        short_seconds = end - self._last_pts - 1 / self.nominal_fps
        return round(short_seconds * self.nominal_fps) if short_seconds > _TAIL_SECONDS else 0

    def _stated_end_seconds(self) -> float | None:
        """Where a Matroska file says that its video ends; other formats count their frames."""
        if "matroska" not in self._container.format.name:
            return None
        tag = self._stream.metadata.get("DURATION")
        if tag:
            hours, minutes, seconds = (float(part) for part in tag.split(":"))
            return hours * 3600 + minutes * 60 + seconds
        only_video = len(self._container.streams) == 1
        return self._container.duration / 1e6 if only_video and self._container.duration else None

    def _nothing(self) -> InputError:
        if self._undecodable:
            return InputError(
                f"{self._path}: none of its {self._undecodable} packets of video can be decoded. "
                "The file is damaged or encrypted."
            )
        return InputError(f"{self._path} has a video stream without a single frame in it.")

    def _encrypted(self) -> InputError:
        return InputError(f"{self._path} is encrypted. Decrypt it first: no key can be given here.")

    def _stated_seconds(self, picture: Any) -> float | None:
        ticks = picture.dts if self._decoding_times else picture.pts
        return None if ticks is None else float(ticks * picture.time_base)

    def _to_rgb(self, picture: Any) -> Image:
        rgb = self._reformatter.reformat(picture, format="rgb24").to_ndarray()
        # Looking at a frame's side data ties it into a cycle that keeps its memory until the
        # garbage collector comes, so it is done only where the rotation is another.
        if picture.rotation != self._rotation:
            self._rotation, self._matrix = picture.rotation, _display_matrix(picture)
        return upright(rgb, self._matrix)


def upright(image: Image, matrix: tuple[int, int, int, int] | None) -> Image:
    """Turn and mirror a picture as a display matrix asks, to the nearest quarter turn.

    Args:
        image: ``(H, W, 3)``.
        matrix: ``a b c d``, a pixel at ``(x, y)`` being shown at ``(a·x + c·y, b·x + d·y)``.

    Returns:
        ``(H, W, 3)`` or ``(W, H, 3)``, contiguous.
    """
    if matrix is None:
        return image
    a, b, c, d = matrix
    if abs(b) + abs(c) > abs(a) + abs(d):
        image, a, d = image.transpose(1, 0, 2), c, b
    if a < 0:
        image = image[:, ::-1]
    if d < 0:
        image = image[::-1]
    return np.ascontiguousarray(image)


def _display_matrix(picture: Any) -> tuple[int, int, int, int] | None:
    for data in picture.side_data:
        if data.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
            return a, b, c, d
    return None


def _is_cover(stream: Any) -> bool:
    """Whether a stream is a still picture that belongs to music, which is not a video."""
    return "attached_pic" in stream.disposition.name if stream.disposition else False
