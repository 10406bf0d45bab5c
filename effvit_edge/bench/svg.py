"""Plots as SVG text, so that a board needs no plotting library and a page no script."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 12, 40
_TICKS = 5
_LEAST_SPAN = 1e-6
"""Relative to the values: of a smaller one the ticks could not be told apart."""
COLORS = ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#475569")


@dataclass(frozen=True)
class Axis:
    """From values to places.

    Args:
        low: the value at the axis's begin.
        high: the value at its end; more than ``low``.
        place: of a value between 0 and 1 of the axis; linear by default.
        ticks: values that are labelled.
        show: the text of a tick.
    """

    low: float
    high: float
    ticks: Sequence[float]
    show: Callable[[float], str] = lambda value: f"{value:g}"
    place: Callable[[float], float] = lambda value: value

    def at(self, value: float) -> float:
        """0 at the begin, 1 at the end."""
        low, high = self.place(self.low), self.place(self.high)
        return (self.place(value) - low) / (high - low)


def linear(low: float, high: float) -> Axis:
    """An axis with round ticks that covers the values."""
    if high - low < _LEAST_SPAN * max(1.0, abs(low)):
        low, high = low - 0.5, high + 0.5
    step = _round_step((high - low) / _TICKS)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return Axis(low, high, [float(f"{n * step:.9g}") for n in range(first, last + 1)])


def nines(highest: float = 0.9999) -> Axis:
    """Shares on the scale of "how many nines": 0, 0.9, 0.99 and so on are equally far apart."""
    ticks = [share for share in (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999) if share <= highest]
    return Axis(
        0.0, highest, ticks, lambda v: f"p{v * 100:g}", lambda v: -math.log10(1 - min(v, 0.99999))
    )


def lines(x: Axis, y: Axis, series: Sequence[tuple[str, Points]], labels: tuple[str, str]) -> str:
    """Curves, each with its name and color.

    Args:
        x: the lower axis.
        y: the left axis.
        series: names and points.
        labels: of the two axes.
    """
    parts = [_frame(x, y, labels)]
    for number, (name, points) in enumerate(series):
        color = COLORS[number % len(COLORS)]
        path = " ".join(f"{_x(x, a):.1f},{_y(y, b):.1f}" for a, b in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.5"/>')
        if len(series) > 1:
            parts.append(
                f'<text x="{_LEFT + 8}" y="{_TOP + 14 + 15 * number}" '
                f'style="fill:{color};opacity:1">{escape(name)}</text>'
            )
    return _svg(parts)


def dots(x: Axis, y: Axis, points: Points, labels: tuple[str, str]) -> str:
    """Single values."""
    marks = "".join(f'<circle cx="{_x(x, a):.1f}" cy="{_y(y, b):.1f}" r="1.4"/>' for a, b in points)
    return _svg([_frame(x, y, labels), f'<g fill="{COLORS[0]}" fill-opacity="0.55">{marks}</g>'])


def bars(x: Axis, counts: Sequence[int], labels: tuple[str, str]) -> str:
    """A histogram: bins of equal width from the axis's begin to its end."""
    y = linear(0, max([*counts, 1]))
    width = (WIDTH - _LEFT - _RIGHT) / len(counts)
    boxes = []
    for number, count in enumerate(counts):
        top = _y(y, count)
        boxes.append(
            f'<rect x="{_LEFT + number * width:.1f}" y="{top:.1f}" width="{width * 0.9:.1f}" '
            f'height="{HEIGHT - _BOTTOM - top:.1f}"/>'
        )
    return _svg([_frame(x, y, labels), f'<g fill="{COLORS[0]}">{"".join(boxes)}</g>'])


def _round_step(step: float) -> float:
    power: float = 10.0 ** math.floor(math.log10(step))
    return next(power * nice for nice in (1, 2, 5, 10) if step <= power * nice * (1 + 1e-9))


def _x(axis: Axis, value: float) -> float:
    return _LEFT + min(1.0, max(0.0, axis.at(value))) * (WIDTH - _LEFT - _RIGHT)


def _y(axis: Axis, value: float) -> float:
    return HEIGHT - _BOTTOM - min(1.0, max(0.0, axis.at(value))) * (HEIGHT - _TOP - _BOTTOM)


def _frame(x: Axis, y: Axis, labels: tuple[str, str]) -> str:
    parts = []
    for tick in x.ticks:
        at = _x(x, tick)
        parts.append(
            f'<line class="g" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>'
        )
        parts.append(
            f'<text x="{at:.1f}" y="{HEIGHT - _BOTTOM + 15}" text-anchor="middle">'
            f"{escape(x.show(tick))}</text>"
        )
    for tick in y.ticks:
        at = _y(y, tick)
        parts.append(
            f'<line class="g" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        )
        parts.append(
            f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">'
            f"{escape(y.show(tick))}</text>"
        )
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    center = (_TOP + HEIGHT - _BOTTOM) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(labels[0])}</text>'
    )
    parts.append(
        f'<text x="13" y="{center}" text-anchor="middle" transform="rotate(-90 13 {center})">'
        f"{escape(labels[1])}</text>"
    )
    return "".join(parts)


def _svg(parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"{''.join(parts)}</svg>"
    )
