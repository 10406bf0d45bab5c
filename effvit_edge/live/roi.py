"""The part of a picture that is labelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from effvit_edge.core.errors import InputError

Box: TypeAlias = tuple[int, int, int, int]
"""``(x, y, w, h)`` in pixels, its left upper corner first."""
_FORM = "Give --roi as x,y,w,h: four whole numbers are pixels, else fractions of the picture."


@dataclass(frozen=True)
class Roi:
    """A rectangle: its left upper corner and its size, in pixels or in parts of the picture."""

    x: float
    y: float
    width: float
    height: float
    in_pixels: bool

    def pixels(self, height: int, width: int) -> Box:
        """Where it is in a picture of that size, at least one pixel.

        Raises:
            InputError: the rectangle does not lie in the picture.
        """
        if not self.in_pixels:
            left, columns = _span(self.x, self.width, width)
            top, rows = _span(self.y, self.height, height)
            return left, top, columns, rows
        x, y, w, h = int(self.x), int(self.y), int(self.width), int(self.height)
        if x + w > width or y + h > height:
            raise InputError(
                f"The region {self} reaches beyond the picture, which is {width}x{height} pixels. "
                "Give a smaller --roi, or fractions of the picture."
            )
        return x, y, w, h

    def __str__(self) -> str:
        return ",".join(f"{value:g}" for value in (self.x, self.y, self.width, self.height))


def parse_roi(text: str) -> Roi:
    """A rectangle from ``x,y,w,h``: four whole numbers are pixels, others parts of the picture.

    Raises:
        InputError: it is no rectangle, or none that could lie in a picture.
    """
    parts = text.split(",")
    try:
        x, y, width, height = (float(part) for part in parts)
    except ValueError:
        raise InputError(f"The region '{text}' is not a rectangle. {_FORM}") from None
    in_pixels = all(part.strip().lstrip("+-").isdigit() for part in parts)
    inside = min(x, y) >= 0 and min(width, height) > 0
    if not in_pixels:
        inside = inside and x + width <= 1 + 1e-9 and y + height <= 1 + 1e-9
    if not inside:
        raise InputError(f"The region '{text}' does not lie in any picture. {_FORM}")
    return Roi(x, y, width, height, in_pixels)


def _span(start: float, length: float, side: int) -> tuple[int, int]:
    """The first pixel and the number of pixels of a part of a side, at least one."""
    first = min(round(start * side), side - 1)
    last = min(max(round((start + length) * side), first + 1), side)
    return first, last - first


def cut(image: npt.NDArray[np.uint8], box: Box | None) -> npt.NDArray[np.uint8]:
    """A part of a picture ``(H, W, 3)``, as a view; all of it for None."""
    if box is None:
        return image
    x, y, width, height = box
    return image[y : y + height, x : x + width]
