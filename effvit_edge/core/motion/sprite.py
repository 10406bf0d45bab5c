"""One object: a form cut from a texture, seen through a pose."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from effvit_edge.core.motion.plane import Image, build_pyramid, fade_in
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

    def draw(self, frame: Image, linear: complex, place: complex) -> Image:
        """Returns the frame with the object on it.

        Objects stand on an endless grid as wide as the picture: as one leaves, the next one enters,
        so that the centre of one is always inside.

        Args:
            frame: (H, W, 3) uint8.
            linear: its scale and angle.
            place: its centre, in sides from the middle of the picture.
        """
        generation = math.floor(math.log(abs(linear)) / math.log(self.ratio) + 1e-12)
        scale = linear / float(self.ratio) ** generation
        weight = fade_in(abs(scale), self.ratio)
        frame = self._draw_look(frame, generation, scale, place, 1.0 - weight)
        if weight > 0.0:
            frame = self._draw_look(frame, generation + 1, scale / self.ratio, place, weight)
        return frame

    def _draw_look(
        self, frame: Image, generation: int, scale: complex, place: complex, weight: float
    ) -> Image:
        height, width = frame.shape[:2]
        side = min(height, width)
        extent_x, extent_y = width / side, height / side
        reach = 0.5 * self.smallest * abs(scale)
        pyramid = self.looks[generation % len(self.looks)]
        for x in _copies(place.real, extent_x, reach):
            for y in _copies(place.imag, extent_y, reach):
                frame = self._blend(frame, pyramid, scale, complex(x, y), weight)
        return frame

    def _blend(
        self,
        frame: Image,
        pyramid: tuple[Image, ...],
        scale: complex,
        place: complex,
        weight: float,
    ) -> Image:
        cv2 = require("cv2", "video")
        height, width = frame.shape[:2]
        side = min(height, width)
        finest = pyramid[0].shape[0]
        step = finest / (self.smallest * side * scale)
        level = min(max(round(math.log2(abs(step))), 0), len(pyramid) - 1)
        source = pyramid[level]
        step *= source.shape[0] / finest
        middle = complex((width - 1) / 2.0, (height - 1) / 2.0)
        centre = complex(source.shape[0], source.shape[0]) / 2.0 - complex(0.5, 0.5)
        start = centre - step * (middle + place * side)
        rows = np.array([[step.real, -step.imag, start.real], [step.imag, step.real, start.imag]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        view = cv2.warpAffine(
            source, rows, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT
        )
        ground = cv2.cvtColor(255 - view[:, :, 3], cv2.COLOR_GRAY2RGB)
        colours = cv2.cvtColor(view, cv2.COLOR_RGBA2RGB)
        painted = cv2.add(cv2.multiply(frame, ground, scale=1.0 / 255.0), colours)
        if weight < 1.0:
            painted = cv2.addWeighted(painted, weight, frame, 1.0 - weight, 0.0)
        return np.asarray(painted, dtype=np.uint8)


def cut_out(picture: Image, outline: Image) -> tuple[Image, ...]:
    """Returns the RGBA pyramid of a form cut from a picture of the outline's size."""
    cv2 = require("cv2", "video")
    colours = cv2.multiply(picture, cv2.cvtColor(outline, cv2.COLOR_GRAY2RGB), scale=1.0 / 255.0)
    return build_pyramid(cv2.merge([*cv2.split(colours), outline]), min_side=4)


def _copies(place: float, extent: float, reach: float) -> list[float]:
    """Returns where along one axis the grid of objects touches a picture of ``extent`` sides."""
    place = (place + extent / 2.0) % extent - extent / 2.0
    return [
        position
        for position in (place - extent, place, place + extent)
        if abs(position) < extent / 2.0 + reach
    ]
