"""An endless picture: mirror-tiled in space and repeating in scale, seen through a pose."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from effvit_edge.core.motion.trajectory import Tiling, split_scale
from effvit_edge.core.optional import require

Image = npt.NDArray[np.uint8]

_FADE_SHARE = 0.15
_OFFSETS = 16


def build_pyramid(picture: Image, min_side: int = 8) -> tuple[Image, ...]:
    """Returns the picture and its halvings, finest first; sides below ``min_side`` are left out."""
    cv2 = require("cv2", "video")
    levels = [picture]
    while min(levels[-1].shape[:2]) >= 2 * min_side:
        height, width = levels[-1].shape[:2]
        size = ((width + 1) // 2, (height + 1) // 2)
        levels.append(cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA))
    return tuple(levels)


@dataclass(frozen=True)
class Plane:
    """A picture that goes on for ever.

    Attributes:
        pyramid: the picture, finest level first, each (H, W, C) uint8.
        pixels_per_unit: finest pixels per content unit at generation 0.
        tiling: when it repeats; ``ratio`` is the zoom after which a new generation fades in.
        offsets: where the content origin lies in the picture, for each generation in turn, in
            finest pixels.
        level_bias: added to the pyramid level; below 0 sharper with some aliasing, above 0 softer.
        smooth: blend the two nearest pyramid levels instead of taking the nearest.
    """

    pyramid: tuple[Image, ...]
    pixels_per_unit: float
    tiling: Tiling
    offsets: tuple[complex, ...]
    level_bias: float = 0.0
    smooth: bool = False

    def render(self, linear: complex, shift: complex, height: int, width: int) -> Image:
        """Returns the (height, width, C) uint8 view of the plane through a pose."""
        cv2 = require("cv2", "video")
        generation, scale = split_scale(linear, self.tiling.ratio)
        view = self._render_generation(generation, scale, shift, height, width)
        weight = fade_in(abs(scale), self.tiling.ratio)
        if weight > 0.0:
            finer = self._render_generation(
                generation + 1, scale / self.tiling.ratio, shift, height, width
            )
            view = cv2.addWeighted(finer, weight, view, 1.0 - weight, 0.0)
        return view

    def _render_generation(
        self, generation: int, scale: complex, shift: complex, height: int, width: int
    ) -> Image:
        side = min(height, width)
        step = self.pixels_per_unit / (side * scale)
        centre = self.offsets[generation % len(self.offsets)] - self.pixels_per_unit * shift / scale
        level = math.log2(abs(step)) + self.level_bias
        level = min(max(level, 0.0), len(self.pyramid) - 1.0)
        if not self.smooth:
            return self._warp(round(level), step, centre, height, width)
        cv2 = require("cv2", "video")
        below = math.floor(level)
        view = self._warp(below, step, centre, height, width)
        if level - below < 1.0 / 256.0:
            return view
        above = self._warp(below + 1, step, centre, height, width)
        return np.asarray(
            cv2.addWeighted(above, level - below, view, 1.0 + below - level, 0.0), dtype=np.uint8
        )

    def _warp(self, level: int, step: complex, centre: complex, height: int, width: int) -> Image:
        """Samples one level: output pixel (x, y) shows ``centre + step * (x + iy - middle)``."""
        cv2 = require("cv2", "video")
        finest_height, finest_width = self.pyramid[0].shape[:2]
        source = self.pyramid[level]
        rows = np.array(
            [
                mirrored_row(step.real, -step.imag, centre.real, finest_width, height, width),
                mirrored_row(step.imag, step.real, centre.imag, finest_height, height, width),
            ]
        )
        rows[0] *= source.shape[1] / finest_width
        rows[1] *= source.shape[0] / finest_height
        rows[:, 2] -= 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        view = cv2.warpAffine(
            source, rows, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT
        )
        return np.asarray(view, dtype=np.uint8)


def mirrored_row(
    along_x: float, along_y: float, centre: float, length: int, height: int, width: int
) -> tuple[float, float, float]:
    """Returns one row of the map from output pixels to a mirror-tiled axis of ``length`` pixels.

    The picture's middle comes to lie inside the axis itself, so that most reads need no mirroring.
    """
    centre %= 2.0 * length
    if centre > length:
        along_x, along_y, centre = -along_x, -along_y, 2.0 * length - centre
    constant = centre - along_x * (width - 1) / 2.0 - along_y * (height - 1) / 2.0
    return along_x, along_y, constant


def fade_in(scale: float, ratio: int) -> float:
    """Returns the weight, 0 to 1, of what replaces a generation near the end of its scales."""
    share = math.log(scale) / math.log(ratio)
    part = (share - (1.0 - _FADE_SHARE)) / _FADE_SHARE
    if part <= 0.0:
        return 0.0
    part = min(part, 1.0)
    return part * part * (3.0 - 2.0 * part)


def random_offsets(rng: np.random.Generator, length: int) -> tuple[complex, ...]:
    """Returns places anywhere in a mirror-tiled square of ``length`` pixels."""
    places = rng.uniform(0.0, 2.0 * length, (_OFFSETS, 2))
    return tuple(complex(x, y) for x, y in places)
