from __future__ import annotations

import pytest

from effvit_edge.core.clock import Clock, FakeClock, MonotonicClock


@pytest.mark.parametrize("clock", [FakeClock(), MonotonicClock()])
def test_time_does_not_go_back(clock: Clock) -> None:
    times = [clock.now() for _ in range(100)]
    assert times == sorted(times)


def test_a_fake_clock_moves_only_when_told() -> None:
    clock = FakeClock(10.0)
    clock.advance(0.25)
    clock.advance(0.0)
    assert clock.now() == clock.now() == 10.25


def test_a_fake_clock_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back, got -1"):
        FakeClock().advance(-1.0)
