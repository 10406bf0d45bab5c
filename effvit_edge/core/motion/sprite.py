"""One object: a form cut from a texture, seen through a pose."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from effvit_edge.core.motion.plane import Image, build_pyramid, fade_in
from effvit_edge.core.motion.trajectory import split_scale
from effvit_edge.core.optional import require


@dataclass(frozen=True)
class Sprite:
    """An object that is replaced by a small one when it has grown too large, and the reverse.

    Attributes:
        looks: one RGBA pyramid with colours already multiplied by coverage, for each generation
            in turn.
        ratio: largest over smallest size.
        smallest: diameter at a scale of 1, in sides.
    """

    looks: tuple[tuple[Image, ...], ...]
    ratio: int
    smallest: float

    def draw(self, frame: Image, linear: complex, place: complex) -> None:
        """Draws the object onto a frame.

        Objects stand on an endless grid as wide as the picture: as one leaves, the next one enters,
        so that the centre of one is always inside.

        Args:
            frame: (H, W, 3) uint8, painted over.
            linear: its scale and angle.
            place: its centre, in sides from the middle of the picture.
        """
        generation, scale = split_scale(linear, self.ratio)
        weight = fade_in(abs(scale), self.ratio)
        self._draw_look(frame, generation, scale, place, 1.0 - weight)
        if weight > 0.0:
            self._draw_look(frame, generation + 1, scale / self.ratio, place, weight)

    def _draw_look(
        self, frame: Image, generation: int, scale: complex, place: complex, weight: float
    ) -> None:
        height, width = frame.shape[:2]
        side = min(height, width)
        reach = 0.5 * self.smallest * abs(scale) * side
        pyramid = self.looks[generation % len(self.looks)]
        for x in _copies(place.real * side, width, reach):
            for y in _copies(place.imag * side, height, reach):
                left, right = _overlap(x, reach, width)
                top, bottom = _overlap(y, reach, height)
                if left < right and top < bottom:
                    step = 1.0 / (self.smallest * side * scale)
                    view = _warp(
                        pyramid, step, complex(x - left, y - top), right - left, bottom - top
                    )
                    _blend(frame[top:bottom, left:right], view, weight)


def cut_out(picture: Image, outline: Image) -> tuple[Image, ...]:
    """Returns the RGBA pyramid of a form cut from a picture of the outline's size."""
    cv2 = require("cv2", "video")
    colours = cv2.multiply(picture, cv2.cvtColor(outline, cv2.COLOR_GRAY2RGB), scale=1.0 / 255.0)
    return build_pyramid(cv2.merge([*cv2.split(colours), outline]), min_side=4)


def _copies(place: float, extent: int, reach: float) -> list[float]:
    """Returns where along one axis, in pixels, objects of the grid touch the picture."""
    centre = (place + extent / 2.0) % extent
    return [
        position
        for position in (centre - extent, centre, centre + extent)
        if -reach < position < extent + reach
    ]


def _overlap(centre: float, reach: float, extent: int) -> tuple[int, int]:
    """Returns the first pixel that an object covers along one axis, and the one past the last."""
    return max(math.floor(centre - reach), 0), min(math.ceil(centre + reach), extent)


def _warp(
    pyramid: tuple[Image, ...], step: complex, centre: complex, width: int, height: int
) -> Image:
    """Returns the RGBA view whose pixel ``centre`` shows the middle of the object.

    Args:
        pyramid: the object, finest level first.
        step: object diameters per pixel, turned by the angle from the view to the object.
        centre: in pixels from the view's corner.
        width: of the view.
        height: of the view.
    """
    cv2 = require("cv2", "video")
    level = min(max(round(math.log2(abs(step) * len(pyramid[0]))), 0), len(pyramid) - 1)
    source = pyramid[level]
    step *= len(source)
    start = complex(len(source) - 1, len(source) - 1) / 2.0 - step * (centre - complex(0.5, 0.5))
    rows = np.array([[step.real, -step.imag, start.real], [step.imag, step.real, start.imag]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    view = cv2.warpAffine(
        source, rows, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT
    )
    return np.asarray(view, dtype=np.uint8)


def _blend(target: Image, view: Image, weight: float) -> None:
    """Paints an RGBA view, its colours multiplied by its coverage, over ``target``."""
    cv2 = require("cv2", "video")
    ground = cv2.cvtColor(cv2.bitwise_not(view[:, :, 3]), cv2.COLOR_GRAY2RGB)
    colours = cv2.cvtColor(view, cv2.COLOR_RGBA2RGB)
    painted = cv2.add(cv2.multiply(target, ground, scale=1.0 / 255.0), colours)
    if weight < 1.0:
        painted = cv2.addWeighted(painted, weight, target, 1.0 - weight, 0.0)
    target[:] = painted
