from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effvit_edge.bench import svg


@given(st.floats(-1e5, 1e5), st.floats(0, 1e5))
def test_ticks_are_round_and_inside(low: float, span: float) -> None:
    axis = svg.linear(low, low + span)
    assert axis.high > axis.low
    assert 1 <= len(axis.ticks) <= 12
    slack = 1e-6 * (axis.high - axis.low)
    assert all(axis.low - slack <= tick <= axis.high + slack for tick in axis.ticks)


def test_nines_are_equally_far_apart() -> None:
    axis = svg.nines()
    places = [axis.at(share) for share in (0.9, 0.99, 0.999, 0.9999)]
    assert places == pytest.approx([0.25, 0.5, 0.75, 1.0], abs=1e-6)
    assert [axis.show(tick) for tick in axis.ticks[-2:]] == ["p99.9", "p99.99"]


def test_a_curve_is_drawn_where_it_belongs() -> None:
    x, y = svg.linear(0, 10), svg.linear(0, 100)
    root = ET.fromstring(svg.lines(x, y, [("a <b>", [(0, 0), (10, 100)]), ("c", [])], ("s", "ms")))
    line = root.find(".//{*}polyline")
    assert line is not None
    (x0, y0), (x1, y1) = (map(float, point.split(",")) for point in line.attrib["points"].split())
    assert (x0, y1) == (56, 12) and (x1, y0) == (svg.WIDTH - 14, svg.HEIGHT - 40)
    assert "a <b>" in [text.text for text in root.iter() if text.text]


def test_bars_are_as_high_as_their_counts() -> None:
    root = ET.fromstring(svg.bars(svg.linear(0, 1), [0, 2, 4], ("ms", "queries")))
    heights = [float(bar.attrib["height"]) for bar in root.iter() if bar.tag.endswith("rect")]
    assert heights[0] == 0 and heights[2] == pytest.approx(2 * heights[1], abs=0.2)


def test_values_beyond_an_axis_stay_in_the_picture() -> None:
    root = ET.fromstring(svg.dots(svg.linear(0, 1), svg.linear(0, 1), [(5, -3)], ("x", "y")))
    (dot,) = (mark for mark in root.iter() if mark.tag.endswith("circle"))
    assert (float(dot.attrib["cx"]), float(dot.attrib["cy"])) == (svg.WIDTH - 14, svg.HEIGHT - 40)
