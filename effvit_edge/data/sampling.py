"""Which moments of a segment a clip shows.

Two ways, as the field has them:

- ``rate``: frames ``1 / fps`` apart from a start (dense sampling; the stride is the rate's);
- ``uniform``: as many equal parts of the segment as the clip has frames, one frame of each (TSN,
  Wang et al., arXiv:1608.00859; AVION, arXiv:2309.16669). Training takes a random moment of every
  part. Evaluation takes the middle, or for several views moments that are spread over the part
  (as ViViT's temporal views, Arnab et al., arXiv:2103.15691).
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Times: TypeAlias = npt.NDArray[np.float64]
"""Seconds from a segment's start."""

_SAME_S = 1e-3


def count_slots(duration_s: float, fps: float) -> int:
    """How many frames a stream at ``fps`` is shown of a segment, from a source that is as fast."""
    return max(1, math.ceil((duration_s - _SAME_S) * fps))


def draw_positions(
    rng: np.random.Generator,
    frames: int,
    *,
    count: int,
    lead: int | None,
    speed: tuple[float, float],
) -> npt.NDArray[np.int64]:
    """Positions of a training clip's frames on a segment's time grid, at a random speed.

    Without lead-in the clip starts anywhere, so that it fits; a segment that is too short is held
    at its last frame. With lead-in it ends anywhere, as a stream is asked at any moment, and begins
    before the segment where there is footage for it.

    Args:
        rng: the clip's own.
        frames: of the clip.
        count: positions of the segment: 0 to ``count - 1``.
        lead: positions before it, which are negative; None without lead-in.
        speed: range of the playback speed.
    """
    steps = np.floor(np.arange(frames) * rng.uniform(*speed)).astype(np.int64)
    if lead is None:
        start = int(rng.integers(max(0, count - 1 - int(steps[-1])) + 1))
    else:
        start = max(-lead, int(rng.integers(count)) - int(steps[-1]))
    positions: npt.NDArray[np.int64] = np.minimum(start + steps, count - 1)
    return positions


def draw_uniform(rng: np.random.Generator, frames: int, duration_s: float) -> Times:
    """A random moment of each of ``frames`` equal parts of a segment."""
    times: Times = (np.arange(frames) + rng.random(frames)) * (duration_s / frames)
    return times


def spread_uniform(frames: int, duration_s: float, views: int) -> list[Times]:
    """For each view its moment of every part: the views of a part are evenly spread over it."""
    part = duration_s / frames
    starts = np.arange(frames, dtype=np.float64) * part
    return [starts + (view + 0.5) / views * part for view in range(views)]


def spread_starts(count: int, frames: int, views: int) -> list[int]:
    """Where up to ``views`` evenly spread clips start on a segment's time grid.

    Args:
        count: positions of the segment.
        frames: of a clip.
        views: most clips; a short segment has fewer that differ.
    """
    last = max(0, count - frames)
    return sorted({round(x) for x in np.linspace(0, last, min(views, last + 1))})
