"""The loaders that are compared: each gives the frames of a clip, scaled to the same short side."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from effvit_edge.data.clips import shrink_short_side
from effvit_edge.data.footage import open_footage
from effvit_edge.data.segments import PreparedShards, Segment, Storage, VideoFiles

Frames = npt.NDArray[np.uint8]
Load = Callable[[Segment, Sequence[float]], list[Frames]]


@dataclass(frozen=True)
class Loop:
    """A way from a segment and times in seconds to frames."""

    name: str
    load: Load


def package_loop(storage: Storage, short_side: int) -> Loop:
    """This package's: the originals or the prepared clips."""

    def load(segment: Segment, times_s: Sequence[float]) -> list[Frames]:
        frames = open_footage(segment, storage).frames_at(times_s)
        return [shrink_short_side(frame, short_side=short_side) for frame in frames]

    if isinstance(storage, PreparedShards):
        return Loop("effvit-edge, prepared", load)
    return Loop("effvit-edge, originals", load)


def decord_loop(short_side: int) -> Loop:
    """Decord on the originals, one thread.

    Raises:
        ImportError: it is not installed.
    """
    decord: Any = importlib.import_module("decord")

    def load(segment: Segment, times_s: Sequence[float]) -> list[Frames]:
        reader = decord.VideoReader(str(segment.path), num_threads=1)
        numbers = _numbers(times_s, reader.get_avg_fps(), len(reader))
        return _shrunk(reader.get_batch(numbers).asnumpy(), short_side)

    return Loop("decord", load)


def torchcodec_loop(short_side: int) -> Loop:
    """TorchCodec on the originals, one thread, without its scan of the whole file.

    Raises:
        ImportError: it is not installed, or does not find FFmpeg.
    """
    try:
        decoders: Any = importlib.import_module("torchcodec.decoders")
    except RuntimeError as error:  # FFmpeg's libraries are missing
        raise ImportError(str(error).splitlines()[0]) from error

    def load(segment: Segment, times_s: Sequence[float]) -> list[Frames]:
        decoder = decoders.VideoDecoder(
            str(segment.path), num_ffmpeg_threads=1, seek_mode="approximate", dimension_order="NHWC"
        )
        metadata = decoder.metadata
        numbers = _numbers(times_s, metadata.average_fps, metadata.num_frames)
        return _shrunk(decoder.get_frames_at(numbers).data.numpy(), short_side)

    return Loop("torchcodec", load)


def find_loops(short_side: int) -> tuple[list[Loop], dict[str, str]]:
    """What of the others can be imported, and why the rest cannot."""
    found, absent = [], {}
    for name, make in (("decord", decord_loop), ("torchcodec", torchcodec_loop)):
        try:
            found.append(make(short_side))
        except ImportError as error:
            absent[name] = str(error)
    return found, absent


def originals(root: Path) -> list[Segment]:
    """Every video below a folder, whole."""
    paths = sorted(path for path in root.rglob("*") if path.suffix in (".mp4", ".mkv"))
    return [Segment(path.relative_to(root).as_posix(), path, (0,)) for path in paths]


VIDEOS = VideoFiles()


def _numbers(times_s: Sequence[float], fps: float, count: int) -> list[int]:
    return [min(count - 1, round(time_s * fps)) for time_s in times_s]


def _shrunk(frames: npt.NDArray[np.uint8], short_side: int) -> list[Frames]:
    return [shrink_short_side(frame, short_side=short_side) for frame in frames]
