"""What OpenCV and GStreamer hand over, as RGB."""

from __future__ import annotations

from effvit_edge.core.optional import require
from effvit_edge.sources.base import Image

CHANNELS = {"RGB": 3, "BGR": 3, "RGBA": 4, "RGBx": 4, "BGRA": 4, "BGRx": 4}
"""Bytes a pixel of the layouts that are understood, by GStreamer's names."""

_CODES = {
    "BGR": "COLOR_BGR2RGB",
    "RGBA": "COLOR_RGBA2RGB",
    "RGBx": "COLOR_RGBA2RGB",
    "BGRA": "COLOR_BGRA2RGB",
    "BGRx": "COLOR_BGRA2RGB",
}


def to_rgb(pixels: Image, layout: str) -> Image:
    """``(H, W, 3 or 4)`` of a layout as ``(H, W, 3)`` RGB; of RGB, the same memory."""
    if layout == "RGB":
        return pixels
    cv2 = require("cv2", "video")
    rgb: Image = cv2.cvtColor(pixels, getattr(cv2, _CODES[layout]))
    return rgb
