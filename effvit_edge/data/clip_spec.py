"""What is taken of footage for a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from effvit_edge.core.card import Preprocess

Sampling = Literal["rate", "uniform"]
"""See :mod:`effvit_edge.data.sampling`."""


@dataclass(frozen=True)
class ClipSpec:
    """Size, rate and number of the frames."""

    preprocess: Preprocess
    """Of every frame."""
    fps: float
    """Rate of the frames, per second, for ``rate`` sampling."""
    frames: int
    """Of a clip; a shorter segment is held at its last frame."""
    sampling: Sampling = "rate"
    lead_s: float = 0.0
    """Seconds before a segment that may be shown, without a label; ``rate`` only."""
