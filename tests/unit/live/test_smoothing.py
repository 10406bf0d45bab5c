from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies

from effvit_edge.core.errors import InputError
from effvit_edge.live.smoothing import Smoothing, parse_smoothing

steps = strategies.lists(strategies.floats(0.001, 2.0), min_size=1, max_size=30)


def smoothed(smoothing: Smoothing, times: list[float], values: list[float]) -> list[float]:
    smoother = smoothing.start()
    return [
        float(smoother.add(time, np.array([value]))[0])
        for time, value in zip(times, values, strict=True)
    ]


@given(gaps=steps, seconds=strategies.floats(0.05, 5))
def test_after_a_step_the_exponential_is_where_its_closed_form_is_at_any_rate(
    gaps: list[float], seconds: float
) -> None:
    times = [0.0, *np.cumsum(gaps)]
    got = smoothed(Smoothing("exp", seconds), times, [0.0] + [1.0] * len(gaps))
    assert got == pytest.approx([1 - math.exp(-time / seconds) for time in times], abs=1e-9)


@given(gaps=steps, seconds=strategies.floats(0.05, 5), data=strategies.data())
def test_the_window_is_the_mean_of_its_last_seconds(
    gaps: list[float], seconds: float, data: strategies.DataObject
) -> None:
    times = [0.0, *np.cumsum(gaps)]
    values = [data.draw(strategies.floats(0, 1)) for _ in times]
    answers = list(zip(times, values, strict=True))
    expected = [
        np.mean([value for at, value in answers if now - seconds < at <= now]) for now in times
    ]
    near_a_border = any(abs(b - a - seconds) < 1e-5 for a in times for b in times)
    if not near_a_border:
        assert smoothed(Smoothing("window", seconds), times, values) == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["none", "exp", "window"])
def test_what_is_steady_stays_as_it_is(kind: str) -> None:
    times = [index * 0.1 for index in range(20)]
    assert smoothed(Smoothing(kind, 0.7), times, [0.3] * 20) == pytest.approx([0.3] * 20)  # type: ignore[arg-type]


def test_no_smoothing_changes_nothing() -> None:
    assert smoothed(Smoothing(), [0, 1, 2], [0.1, 0.9, 0.4]) == [0.1, 0.9, 0.4]


def test_what_is_given_is_never_changed() -> None:
    first = np.array([0.0, 1.0])
    smoother = Smoothing("exp", 1).start()
    smoother.add(0, first)
    smoother.add(1, np.array([1.0, 0.0]))
    assert first.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("text", ["none", "exp:0.5", "window:2"])
def test_a_smoothing_is_read_as_it_is_written(text: str) -> None:
    assert str(parse_smoothing(text)) == text


@pytest.mark.parametrize(
    "text", ["", "exp", "exp:", "exp:0", "exp:-1", "exp:nan", "exp:inf", "mean:2", "none:1"]
)
def test_other_smoothing_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="Use exp:SECONDS, window:SECONDS or none"):
        parse_smoothing(text)
