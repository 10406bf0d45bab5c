"""Small videos made for the tests, in good order and in bad."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from effvit_edge.sources import End, Source

TICKS = 1000  # a second, in the videos made here
KEY = "0123456789abcdef0123456789abcdef"


def grey_frames(count: int, hw: tuple[int, int] = (64, 96)) -> list[np.ndarray]:
    """Frames of one grey each, 0, 16, 32, ..., which survives any codec."""
    return [np.full((*hw, 3), (16 * i) % 256, np.uint8) for i in range(count)]


def write_video(
    path: Path,
    frames: Sequence[np.ndarray],
    times: Sequence[float] | None = None,
    codec: str = "libx264",
    fps: int = 25,
    **options: str,
) -> Path:
    """Encode frames, shown at the given times in seconds or at a steady rate."""
    height, width = frames[0].shape[:2] if len(frames) else (64, 96)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.codec_context.options = {"bf": "0", "g": "12"} if codec == "libx264" else {}
        if times is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        container.start_encoding()  # a file without frames has its header, too
        for index, image in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts = index if times is None else round(times[index] * TICKS)
            picture.time_base = Fraction(1, fps) if times is None else Fraction(1, TICKS)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def write_sound(path: Path) -> Path:
    """A file with sound and nothing else."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for index in range(10):
            silence = np.zeros((1, 1024), np.float32)
            sound = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            sound.sample_rate, sound.pts = 16000, 1024 * index
            container.mux(stream.encode(sound))
        container.mux(stream.encode())
    return path


def write_bad_inputs(folder: Path) -> dict[str, Path]:
    """One file of each kind that cannot be used, by the kind's name."""
    whole = write_video(folder / "whole.mp4", grey_frames(12))
    content = whole.read_bytes()
    whole.unlink()
    bad = {
        "missing": folder / "missing.mp4",
        "empty": folder / "empty.mp4",
        "truncated": folder / "truncated.mp4",
        "text": folder / "text.mp4",
        "noise": folder / "noise.mkv",
        "no frame": write_video(folder / "no_frame.avi", [], codec="mpeg4"),
        "sound": write_sound(folder / "sound.mp4"),
        "encrypted": write_video(
            folder / "encrypted.mp4",
            grey_frames(12),
            encryption_scheme="cenc-aes-ctr",
            encryption_key=KEY,
            encryption_kid=KEY,
        ),
    }
    bad["empty"].touch()
    bad["truncated"].write_bytes(content[: len(content) // 2])
    bad["text"].write_text("left right up down\n" * 50)
    bad["noise"].write_bytes(np.random.default_rng(0).bytes(5000))
    return bad


def read_all(source: Source) -> list[tuple[float, np.ndarray]]:
    """The times and pictures of a source, which is closed afterwards."""
    return list(_frames(source))


def _frames(source: Source) -> Iterator[tuple[float, np.ndarray]]:
    with source:
        while not isinstance(frame := source.read(), End):
            yield frame.pts_seconds, frame.image


@contextmanager
def decoded(path: Path) -> Iterator[tuple[Any, list[Any]]]:
    """A video's stream and its frames, by PyAV alone and none of the package's code."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        yield stream, list(container.decode(stream))


def stated_times(path: Path) -> list[float]:
    """When a video says that its frames are shown, in seconds."""
    with decoded(path) as (_, frames):
        return [float(frame.pts * frame.time_base) for frame in frames]
