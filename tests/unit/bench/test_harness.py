from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from itertools import chain, repeat

import numpy as np
import pytest

from effvit_edge.bench.harness import Limits, Measurement, WarmUp, measure, warm_up
from effvit_edge.core.clock import FakeClock

WARM = WarmUp(0, 0, True)


class Machine:
    """Work that takes as long as it is told, on a clock of its own."""

    def __init__(self, milliseconds: Iterator[float]) -> None:
        self.clock = FakeClock()
        self.waited: list[float] = []
        self._milliseconds = milliseconds

    def work(self) -> Sequence[float]:
        taken = next(self._milliseconds)
        self.clock.advance(taken / 1000)
        return 0.25 * taken, 0.75 * taken

    def idle(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.clock.advance(seconds)

    def measure(self, limits: Limits, pace: float | None = None) -> Measurement:
        stages = ("preprocess", "infer")
        return measure(self.work, stages, limits, WARM, self.clock, pace=pace, idle=self.idle)


def test_times_are_told_by_stage_and_whole() -> None:
    found = Machine(iter([10.0, 20.0, 40.0])).measure(Limits(count=3))
    np.testing.assert_allclose(found.total, [10, 20, 40])
    np.testing.assert_allclose(found.times["infer"], [7.5, 15, 30])
    np.testing.assert_allclose(found.times["preprocess"] + found.times["infer"], found.total)
    np.testing.assert_allclose(found.started, [0, 0.01, 0.03])
    assert (found.seconds, found.rate) == pytest.approx((0.07, 3 / 0.07))


def test_a_run_ends_at_the_first_limit() -> None:
    by_time = Machine(repeat(125.0)).measure(Limits(seconds=1.0, count=99))
    by_count = Machine(repeat(100.0)).measure(Limits(seconds=1.0, count=4))
    assert (len(by_time.total), len(by_count.total)) == (8, 4)


@pytest.mark.parametrize("limits", [{}, {"seconds": 0.0}, {"count": 0}, {"seconds": -1.0}])
def test_a_run_without_a_positive_limit_is_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="positive limit"):
        Limits(**limits)  # type: ignore[arg-type]


def test_frames_come_at_their_pace_and_a_late_one_at_once() -> None:
    machine = Machine(iter([10.0, 90.0, 10.0, 10.0]))
    found = machine.measure(Limits(count=4), pace=0.040)
    np.testing.assert_allclose(found.started, [0, 0.040, 0.130, 0.170])
    np.testing.assert_allclose(machine.waited, [0.030, 0.030])


def test_an_interrupted_run_keeps_what_there_is() -> None:
    machine = Machine(iter([10.0] * 5))
    real = machine.work

    def stopping() -> Sequence[float]:
        if machine.clock.now() > 0.025:
            raise KeyboardInterrupt
        return real()

    found = measure(stopping, ("a", "b"), Limits(count=9), WARM, machine.clock)
    assert found.interrupted
    assert len(found.total) == len(found.times["a"]) == 3


def test_a_run_that_is_asked_to_stop_ends_after_a_whole_piece() -> None:
    machine = Machine(repeat(10.0))
    found = measure(
        machine.work, ("a", "b"), Limits(count=9), WARM, machine.clock,
        stop=lambda: machine.clock.now() > 0.025,
    )  # fmt: skip
    assert found.interrupted and len(found.total) == 3


def test_slow_work_may_be_steady_too() -> None:
    machine = Machine(repeat(2000.0))
    told = warm_up(machine.work, machine.clock)
    assert (told.steady, told.count) == (True, 15)
    rising = Machine(2000 * 1.05**i for i in range(99))
    assert not warm_up(rising.work, rising.clock).steady


def test_warm_up_lasts_longer_when_asked() -> None:
    machine = Machine(repeat(2000.0))
    assert warm_up(machine.work, machine.clock, least_seconds=45).seconds >= 45


def test_a_clock_that_jumps_spoils_one_query_and_not_the_median() -> None:
    hour = 3_600_000.0
    found = Machine(iter([10.0] * 50 + [hour] + [10.0] * 50)).measure(Limits(count=101))
    assert np.median(found.total) == pytest.approx(10)
    assert found.total.max() == pytest.approx(hour)
    by_time = Machine(iter([10.0] * 50 + [hour] + [10.0] * 50)).measure(Limits(seconds=60))
    assert len(by_time.total) == 51 and not by_time.interrupted


def test_the_time_of_day_may_change_while_something_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    days = itertools.count(1_800_000_000, -86_400)  # back by a day at each look
    monkeypatch.setattr(time, "time", lambda: float(next(days)))
    found = measure(lambda: (0.0,), ("a",), Limits(count=50), WARM)
    assert (found.total >= 0).all() and found.seconds < 60


def test_warm_up_goes_on_until_times_are_steady() -> None:
    falling = chain((100 * 0.97**i for i in range(100)), repeat(5.0))
    machine = Machine(falling)
    told = warm_up(machine.work, machine.clock, least_seconds=0.1)
    assert told.steady
    assert 100 < told.count <= 140  # two windows of 20 after the fall has ended


def test_warm_up_lasts_as_long_as_it_must() -> None:
    machine = Machine(repeat(10.0))
    told = warm_up(machine.work, machine.clock, least_seconds=2.0)
    assert told.steady and told.seconds == pytest.approx(2.0)


def test_warm_up_that_is_never_steady_ends_and_says_so() -> None:
    machine = Machine(10 * 1.01**i for i in range(10_000))
    told = warm_up(machine.work, machine.clock, most_seconds=5)
    assert not told.steady and 5 <= told.seconds < 6
