"""Measure the reading of clips: seek, then frames. See the README beside this file.

``python -m benchmarks.decoding VIDEO...``
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np

from effvit_edge.core.optional import require
from effvit_edge.data.footage import open_footage
from effvit_edge.data.segments import Segment, VideoFiles
from effvit_edge.data.types import Frames

Reader: TypeAlias = Callable[[Path, Sequence[float]], list[Frames]]
"""Opens a file and gives the frames at some times, seconds, as ``(H, W, 3)`` uint8 RGB."""


def read_footage(path: Path, times: Sequence[float]) -> list[Frames]:
    """As training does: one thread, the frames nearest."""
    segment = Segment(path.name, path, (0,))
    return list(open_footage(segment, VideoFiles()).frames_at(times))


def read_from_start(path: Path, times: Sequence[float]) -> list[Frames]:
    """PyAV's plain loop, without a seek: the last frame at or before each time."""
    av = require("av", "video")
    frames: list[Frames] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        before = None
        for frame in container.decode(stream):
            seconds = frame.time - stream.start_time * stream.time_base
            while before is not None and len(frames) < len(times) and seconds > times[len(frames)]:
                frames.append(before.to_ndarray(format="rgb24"))
            if len(frames) == len(times):
                break
            before = frame
    return frames + [frames[-1]] * (len(times) - len(frames))


def read_torchcodec(path: Path, times: Sequence[float], *, seek_mode: str) -> list[Frames]:
    """One batch call of torchcodec with one thread, frames laid out as those of PyAV."""
    decoders = importlib.import_module("torchcodec.decoders")  # not a dependency, see the README
    decoder = decoders.VideoDecoder(
        str(path), dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode=seek_mode
    )
    begin = decoder.metadata.begin_stream_seconds or 0.0  # its times are the file's own
    return list(decoder.get_frames_played_at([begin + time for time in times]).data.numpy())


READERS: dict[str, Reader] = {
    "footage (PyAV, seek)": read_footage,
    "PyAV, from the start": read_from_start,
    "torchcodec, approximate": partial(read_torchcodec, seek_mode="approximate"),
    "torchcodec, exact": partial(read_torchcodec, seek_mode="exact"),
}


def draw_times(rng: np.random.Generator, duration_s: float, frames: int, fps: float) -> list[float]:
    """Times of a clip that starts anywhere in a video."""
    span = (frames - 1) / fps
    start = rng.uniform(0, max(0.0, duration_s - span - 0.1))
    return [min(start + i / fps, duration_s - 0.05) for i in range(frames)]


def measure(path: Path, clips: int, frames: int, fps: float) -> dict[str, float]:
    """Median CPU milliseconds a clip of each reader; they take turns on the same clips."""
    segment = Segment(path.name, path, (0,))
    duration_s = open_footage(segment, VideoFiles()).duration_s()
    rng = np.random.default_rng(0)
    spent: dict[str, list[float]] = {name: [] for name in READERS}
    for _ in range(clips):
        times = draw_times(rng, duration_s, frames, fps)
        for name, read in READERS.items():
            begin = time.process_time()
            found = read(path, times)
            spent[name].append(1000 * (time.process_time() - begin))
            assert len(found) == frames
    return {name: statistics.median(values) for name, values in spent.items()}


def main() -> None:
    """Print one table row a file, and all as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--fps", type=float, default=10.0)
    parser.add_argument("--json", type=Path, help="Also write the figures here.")
    given = parser.parse_args()
    print(f"| video | {' | '.join(READERS)} |\n|---|{'---:|' * len(READERS)}")
    figures = {}
    for path in given.videos:
        figures[path.name] = measure(path, given.clips, given.frames, given.fps)
        cells = " | ".join(f"{value:.1f}" for value in figures[path.name].values())
        print(f"| {path.name} | {cells} |", flush=True)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
