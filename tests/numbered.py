"""Videos whose every frame shows its number, so that a test can tell which one it got."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.videos import write_video

_STEP = 16
"""Grey levels from one digit to the next: no compression takes one for another."""


def numbered_frames(count: int, hw: tuple[int, int] = (64, 96)) -> list[np.ndarray]:
    """Frames whose halves have the grey of the number's two hexadecimal digits."""
    height, width = hw
    frames = []
    for number in range(count):
        frame = np.zeros((height, width, 3), np.uint8)
        frame[:, : width // 2] = _STEP * (number // _STEP)
        frame[:, width // 2 :] = _STEP * (number % _STEP)
        frames.append(frame)
    return frames


def number_of(frame: np.ndarray) -> int:
    """The number that a frame shows, at any size."""
    middle = frame.shape[1] // 2
    high, low = (float(half.mean()) / _STEP for half in (frame[:, :middle], frame[:, middle:]))
    return round(high) * _STEP + round(low)


def write_numbered(
    path: Path,
    count: int,
    times: Sequence[float] | None = None,
    fps: int = 25,
    hw: tuple[int, int] = (64, 96),
) -> Path:
    """A video of numbered frames, at a steady rate or at the times given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path, numbered_frames(count, hw), times, fps=fps)
