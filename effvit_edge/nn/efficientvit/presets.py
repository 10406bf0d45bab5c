"""The published variants as numbers (source: the paper's table 1 and the official model zoo)."""

from __future__ import annotations

from dataclasses import dataclass

from effvit_edge.nn.efficientvit.builders import Five


@dataclass(frozen=True)
class Preset:
    """One variant: ``b`` or ``l`` series, widths and depths of (stem, stages 1–4), head widths."""

    series: str
    widths: Five
    depths: Five
    head_dim: int
    head_widths: tuple[int, int]


PRESETS: dict[str, Preset] = {
    "b0": Preset("b", (8, 16, 32, 64, 128), (1, 2, 2, 2, 2), 16, (1024, 1280)),
    "b1": Preset("b", (16, 32, 64, 128, 256), (1, 2, 3, 3, 4), 16, (1536, 1600)),
    "b2": Preset("b", (24, 48, 96, 192, 384), (1, 3, 4, 4, 6), 32, (2304, 2560)),
    "b3": Preset("b", (32, 64, 128, 256, 512), (1, 4, 6, 6, 9), 32, (2304, 2560)),
    "l1": Preset("l", (32, 64, 128, 256, 512), (1, 1, 1, 6, 6), 32, (3072, 3200)),
    "l2": Preset("l", (32, 64, 128, 256, 512), (1, 2, 2, 8, 8), 32, (3072, 3200)),
    "l3": Preset("l", (64, 128, 256, 512, 1024), (1, 2, 2, 8, 8), 32, (6144, 6400)),
}

IMAGE_PREFIX = "efficientvit_"
VIDEO_PREFIX = "efficientvit3d_"

# Three frames in the stem and three taps in the deep stages; docs/decisions.md has the measurement.
DEFAULT_TEMPORAL_KERNELS: Five = (3, 1, 1, 3, 3)
