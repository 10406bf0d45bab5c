"""A video file, decoded by PyAV packet by packet: upright pictures with repaired timestamps."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from effvit_edge.core.closing import Closing
from effvit_edge.core.errors import EdgeError, InputError
from effvit_edge.core.optional import require
from effvit_edge.core.video.convert import RgbConverter
from effvit_edge.core.video.diagnose import check_file, unreadable
from effvit_edge.core.video.losses import Losses
from effvit_edge.core.video.timestamps import TimestampRepair

_DEFAULT_FPS = 25.0  # for a file that states no rate and misses timestamps
_TAIL_SECONDS = 1.0  # a Matroska file that ends this much before its stated end was cut short
_SEEKABLE = frozenset(("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"))  # have an index by time
_SEEK_BACK_SECONDS = (0.0, 2.0, 15.0)
_ENCRYPTED_TAG = "encv"
_ENCRYPTION_INFO = "encryption_info"


class BrokenOff(EdgeError):
    """A file that had given pictures cannot be read further. The text says what is lost."""


class Picture:
    """One decoded frame.

    Args:
        converter: turns it into RGB.
        decoded: the frame of PyAV.
        pts_seconds: when it is shown; strictly increasing.
    """

    __slots__ = ("_converter", "_decoded", "pts_seconds")

    def __init__(self, converter: RgbConverter, decoded: Any, pts_seconds: float) -> None:
        self._converter = converter
        self._decoded = decoded
        self.pts_seconds = pts_seconds

    def to_rgb(self) -> npt.NDArray[np.uint8]:
        """``(H, W, 3)`` uint8 RGB, upright; converted anew by each call."""
        return self._converter.convert(self._decoded)


class VideoReader(Closing):
    """Reads a video file from its first frame to its last, and drops none that decodes.

    A packet that does not decode costs the frames that were in it; the rest is used and the loss
    is counted. Rotation and mirroring stated in the file are applied.

    Args:
        path: a video file.
        threads: whether decoding and converting may have threads of their own.

    Raises:
        InputError: the file is missing, empty, not a video, encrypted, or has no picture.
        EnvironmentFault: PyAV is not installed, or the file may not be read.
    """

    def __init__(self, path: Path, *, threads: bool = True) -> None:
        check_file(path)
        self._av = require("av", "video")
        self.losses = Losses()
        self._path = path
        self._container = self._open(path)
        try:
            self._stream = self._video_stream()
        except InputError:
            self._container.close()
            raise
        self._stream.thread_type = "AUTO" if threads else "NONE"
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.nominal_fps = float(rate) if rate else None
        self.expected_frames = self._stated_frames()
        self._times = TimestampRepair(1 / (self.nominal_fps or _DEFAULT_FPS))
        # AVI stores the order of decoding only; FFmpeg guesses the rest, and errs on B-frames.
        self._decoding_times = self._container.format.name == "avi"
        self._converter = RgbConverter(threads=threads)
        self._packets: Iterator[Any] = self._container.demux(self._stream)
        self._decoded: deque[Any] = deque()
        self._count = self._discarded = self._undecodable = 0
        self._last_pts = 0.0
        self._fault: str | None = None
        self._ended = self._reckoned = self._sought = False

    def read(self) -> Picture | None:
        """The next picture; None at the end, again and again once it is reached.

        Raises:
            InputError: not a single frame can be decoded, or they are encrypted.
            BrokenOff: once, where reading stopped after some frames.
        """
        while not self._decoded and not self._ended:
            self._decode_next_packet()
        if not self._decoded:
            if not self._reckoned:
                self._reckoned = True
                self._reckon()
            return None
        decoded = self._decoded.popleft()
        self._last_pts = self._times.next(self._stated_seconds(decoded))
        self.losses.damaged += bool(decoded.is_corrupt)
        self._count += 1
        return Picture(self._converter, decoded, self._last_pts)

    @property
    def start_seconds(self) -> float | None:
        """When the first picture is shown, if the file says so and can be believed."""
        start = self._stream.start_time
        seekable = self._container.format.name in _SEEKABLE
        return float(start * self._stream.time_base) if seekable and start is not None else None

    def duration_seconds(self) -> float | None:
        """How long the video lasts, as far as the file says."""
        if self._stream.duration:
            return float(self._stream.duration * self._stream.time_base)
        end = self._stated_end_seconds()
        if end is not None:
            return end - (self.start_seconds or 0.0)
        if self.expected_frames and self.nominal_fps:
            return self.expected_frames / self.nominal_fps
        return None

    def keyframe_seconds(self, seconds: float) -> float | None:
        """About when the last keyframe before a time is; None where the index does not say.

        An index has the times of decoding, which are a few frames early, and some formats read it
        at the first :meth:`seek`.
        """
        entries = self._stream.index_entries
        index = entries.search_timestamp(self._ticks(seconds))
        return float(entries[index].timestamp * self._stream.time_base) if index >= 0 else None

    def seek(self, seconds: float) -> bool:
        """Go on from a keyframe, so that the next picture is one shown at or before ``seconds``.

        Losses before it stay unknown. What is decoded from there on is what decoding from the
        start gives, since nothing is used that leans on what was left out.

        Returns:
            False where the file cannot do that, or misleads; where reading goes on from is then
            not known, so a new reader must decode from the start.
        """
        if self.start_seconds is None:
            return False
        return any(self._seek_before(seconds, back) for back in _SEEK_BACK_SECONDS)

    def close(self) -> None:
        """Give the file back. Closing twice is allowed."""
        self._ended = self._reckoned = True
        self._decoded.clear()
        self._packets = iter(())
        self._container.close()

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

    def _ticks(self, seconds: float) -> int:
        return math.floor(seconds / float(self._stream.time_base) + 1e-3)

    def _seek_before(self, seconds: float, back: float) -> bool:
        """One attempt of :meth:`seek`, from the keyframe before ``seconds - back``."""
        target = self._ticks(seconds)
        try:
            self._container.seek(self._ticks(seconds - back), stream=self._stream)
        except self._av.FFmpegError:
            return False
        self._packets = self._container.demux(self._stream)
        self._times = TimestampRepair(1 / (self.nominal_fps or _DEFAULT_FPS))
        self._decoded.clear()
        self._count = self._discarded = self._undecodable = 0
        self._fault, self._sought = None, True
        self._ended = self._reckoned = False
        packet = self._next_packet()
        if packet is None or not packet.is_keyframe or packet.pts is None or packet.pts > target:
            return False
        self._decode(packet)
        while True:
            # Pictures shown before the keyframe lean on others before it, which are not there.
            while self._decoded and (self._decoded[0].pts or 0) < packet.pts:
                self._decoded.popleft()
            if self._decoded or self._ended:
                break
            self._decode_next_packet()
        first = self._decoded[0] if self._decoded else None
        if first is None or first.pts is None:
            return False
        return bool(first.pts <= target and not first.is_corrupt)

    def _stated_frames(self) -> int | None:
        if self._stream.frames:
            return int(self._stream.frames)
        if self._container.duration and self.nominal_fps:
            return round(float(self._container.duration) / 1e6 * self.nominal_fps)
        return None

    def _decode_next_packet(self) -> None:
        packet = self._next_packet()
        if packet is not None:
            self._decode(packet)

    def _next_packet(self) -> Any:
        """None at the end; an empty one, which asks for what the decoder still holds, before it."""
        try:
            packet = next(self._packets, None)
        except self._av.FFmpegError as error:
            self._fault = f"reading stopped: {error.strerror}"
            self._ended = True
            rest = self._av.Packet()
            rest.time_base = self._stream.time_base
            return rest
        if packet is None:
            self._ended = True
            return None
        if packet.size and packet.has_sidedata(_ENCRYPTION_INFO):
            raise self._encrypted()
        self._discarded += bool(packet.size and packet.is_discard)
        return packet

    def _decode(self, packet: Any) -> None:
        try:
            self._decoded.extend(self._stream.decode(packet))
        except self._av.FFmpegError as error:
            self._undecodable += 1
            self.losses.add(1, f"a packet does not decode: {error.strerror}")

    def _reckon(self) -> None:
        """Take stock at the end: what the file said it had against what came out of it."""
        if not self._count:
            raise self._nothing()
        if self._sought:  # what was passed over is not missing
            if self._fault:
                self.losses.add(0, self._fault)
                raise BrokenOff(str(self.losses))
            return
        missing = max(0, self._missing_frames() - self.losses.frames)
        if self._fault:
            self.losses.add(missing, self._fault)
            raise BrokenOff(str(self.losses))
        if missing:
            self.losses.add(missing, "the file states more frames than it holds")

    def _missing_frames(self) -> int:
        if self._stream.frames:
            return int(self._stream.frames) - self._discarded - self._count
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
            return tag_seconds(tag)
        only_video = len(self._container.streams) == 1
        return self._container.duration / 1e6 if only_video and self._container.duration else None

    def _nothing(self) -> InputError:
        if self._undecodable:
            return InputError(
                f"{self._path}: none of its {self._undecodable} packets of video can be decoded. "
                "The file is damaged or encrypted."
            )
        if self._fault:
            return InputError(f"{self._path} gives no frame: {self._fault}. The file is damaged.")
        return InputError(f"{self._path} has a video stream without a single frame in it.")

    def _encrypted(self) -> InputError:
        return InputError(f"{self._path} is encrypted. Decrypt it first: no key can be given here.")

    def _stated_seconds(self, decoded: Any) -> float | None:
        ticks = decoded.dts if self._decoding_times else decoded.pts
        return None if ticks is None else float(ticks * decoded.time_base)


def tag_seconds(tag: str) -> float | None:
    """The seconds of Matroska's ``HH:MM:SS.fraction``; None where a tag is anything else."""
    try:
        hours, minutes, seconds = (float(part) for part in tag.split(":"))
    except ValueError:
        return None
    total = hours * 3600 + minutes * 60 + seconds
    return total if math.isfinite(total) else None


def _is_cover(stream: Any) -> bool:
    """Whether a stream is a still picture that belongs to music, which is not a video."""
    return "attached_pic" in stream.disposition.name if stream.disposition else False
