"""Names beside the points of a plot, none over another."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

_SIDES = (1, -1)
_HEIGHTS = (0, 12, -12, 24, -24, 36, -36, 48, -48, 60, -60)
_FAR = 12  # from here on, a line leads to the point
_SHARE = 0.8  # of a line's height, which letters fill
_MARKER = 6


@dataclass(frozen=True)
class Point:
    """One point with its name."""

    name: str
    x: float
    y: float
    colour: str


def write_names(axes: Axes, points: list[Point]) -> None:
    """Write every name at the first place beside its point that is free.

    Args:
        axes: with its final limits and place; nothing in it moves any more.
        points: in data coordinates.
    """
    pixels = [axes.transData.transform((point.x, point.y)) for point in points]
    taken = [
        Bbox.from_extents(x - _MARKER, y - _MARKER, x + _MARKER, y + _MARKER) for x, y in pixels
    ]
    for point in sorted(points, key=lambda point: (point.y, point.x)):
        for height, side in product(_HEIGHTS, _SIDES):
            text = _write(axes, point, side, height)
            box = _letters(text)
            inside = axes.bbox.x0 < box.x0 and box.x1 < axes.bbox.x1
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()
        else:
            taken.append(_letters(_write(axes, point, 1, 0)))


def _write(axes: Axes, point: Point, side: int, height: int) -> Annotation:
    aside = 8 if abs(height) < _FAR else 20
    return axes.annotate(
        point.name,
        (point.x, point.y),
        xytext=(side * aside, height),
        textcoords="offset points",
        horizontalalignment="left" if side > 0 else "right",
        verticalalignment="center",
        fontsize=8,
        color=point.colour,
        arrowprops={"arrowstyle": "-", "color": point.colour, "linewidth": 0.5, "alpha": 0.6}
        if abs(height) >= _FAR
        else None,
    )


def _letters(text: Annotation) -> Bbox:
    """Where the letters are, without the line that leads to them."""
    text.get_window_extent()  # which puts them in their place
    return Text.get_window_extent(text).expanded(1.0, _SHARE)
