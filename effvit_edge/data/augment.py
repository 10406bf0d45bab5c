"""Augmentation of a clip: drawn once, applied alike to all of its frames."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from effvit_edge.core.optional import require
from effvit_edge.core.preprocess import resize_frame
from effvit_edge.data.types import Frames

_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_CROP_ATTEMPTS = 10


@dataclass(frozen=True)
class ClipAugmentation:
    """What is done to every frame of one clip."""

    top: int
    left: int
    crop_height: int
    crop_width: int
    mirrored: bool
    color_matrix: tuple[tuple[float, float, float, float], ...]
    """3x4: RGB in 0..255 and 1 to RGB."""

    def apply(self, frame: Frames, height: int, width: int) -> Frames:
        """Crop, scale, mirror and recolour one ``(H, W, 3)`` frame to ``(height, width, 3)``."""
        rows = slice(self.top, self.top + self.crop_height)
        columns = slice(self.left, self.left + self.crop_width)
        result = resize_frame(frame[rows, columns], height, width)
        if self.mirrored:
            result = result[:, ::-1]
        cv2 = require("cv2", "video")
        matrix = np.array(self.color_matrix, dtype=np.float32)
        recolored: Frames = cv2.transform(np.ascontiguousarray(result), matrix)
        return recolored


def draw_augmentation(
    rng: np.random.Generator,
    frame_hw: tuple[int, int],
    input_hw: tuple[int, int],
    *,
    scale: tuple[float, float],
    aspect: tuple[float, float],
    flip: float,
    color: float,
) -> ClipAugmentation:
    """Draw one clip's augmentation.

    Args:
        rng: the clip's own.
        frame_hw: the source frames' height and width, pixels.
        input_hw: the model's input, pixels.
        scale: range of the crop's area, as a share of the frame's.
        aspect: range of the crop's shape, relative to the input's.
        flip: probability of mirroring.
        color: strength of brightness, contrast and saturation change; 0 changes nothing.
    """
    top, left, height, width = _draw_crop(rng, frame_hw, input_hw, scale, aspect)
    mirrored = bool(rng.random() < flip)
    return ClipAugmentation(top, left, height, width, mirrored, _draw_color(rng, color))


def _draw_crop(
    rng: np.random.Generator,
    frame_hw: tuple[int, int],
    input_hw: tuple[int, int],
    scale: tuple[float, float],
    aspect: tuple[float, float],
) -> tuple[int, int, int, int]:
    """Top, left, height and width of a crop, pixels."""
    frame_height, frame_width = frame_hw
    input_ratio = input_hw[1] / input_hw[0]
    for _ in range(_CROP_ATTEMPTS):
        area = rng.uniform(*scale) * frame_height * frame_width
        ratio = input_ratio * math.exp(rng.uniform(math.log(aspect[0]), math.log(aspect[1])))
        height, width = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        if 0 < height <= frame_height and 0 < width <= frame_width:
            top = int(rng.integers(frame_height - height + 1))
            left = int(rng.integers(frame_width - width + 1))
            return top, left, height, width
    # No such box fits: the largest centred one of the input's shape.
    height = max(1, min(frame_height, round(frame_width / input_ratio)))
    width = max(1, min(frame_width, round(frame_height * input_ratio)))
    return (frame_height - height) // 2, (frame_width - width) // 2, height, width


def _draw_color(
    rng: np.random.Generator, strength: float
) -> tuple[tuple[float, float, float, float], ...]:
    """Saturation, contrast about middle grey and brightness, as one affine map of RGB."""
    brightness, contrast, saturation = 1 + strength * rng.uniform(-1, 1, 3)
    mix = saturation * np.eye(3) + (1 - saturation) * _GREY[None]
    matrix = brightness * contrast * mix
    offset = 128 * (1 - contrast) * brightness
    rows = np.concatenate([matrix, np.full((3, 1), offset)], axis=1)
    first, second, third = (tuple(float(x) for x in row) for row in rows)
    return first, second, third  # type: ignore[return-value]
