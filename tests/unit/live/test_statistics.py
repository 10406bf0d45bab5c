from __future__ import annotations

import numpy as np
import pytest

from effvit_edge.core.clock import FakeClock
from effvit_edge.live import Candidate, Decision, Latency
from effvit_edge.live.mailbox import Ledger
from effvit_edge.live.statistics import Statistics
from effvit_edge.live.status import SourceStatus
from effvit_edge.sources import Health


def decision(total_ms: float) -> Decision:
    latency = Latency(0, 0, 0, 0, total_ms)
    return Decision("a", 0, 0.0, (Candidate("x", 1.0),), 0.5, latency, 0, np.ones(1))


def test_a_steady_source_has_its_rate_n_frames_being_n_less_one_gaps() -> None:
    clock = FakeClock(100)
    statistics = Statistics(clock)
    for _ in range(11):
        statistics.frame()
        clock.advance(0.04)
    assert statistics.pace().fps == pytest.approx(25)
    assert statistics.pace().frames == 11


def test_percentiles_are_those_of_the_last_ten_seconds() -> None:
    clock = FakeClock()
    statistics = Statistics(clock)
    for _ in range(50):
        statistics.decision(decision(1000))
    clock.advance(10.5)
    values = np.random.default_rng(0).uniform(1, 20, 500)
    for value in values:
        statistics.decision(decision(value))
    expected = tuple(np.percentile(values, [50, 90, 99]))
    assert statistics.pace().latency_ms == pytest.approx(expected)
    clock.advance(11)
    assert statistics.pace().latency_ms is None
    assert statistics.pace().decisions == 550


def test_nothing_seen_is_no_rate_and_no_latency() -> None:
    pace = Statistics(FakeClock()).pace()
    assert (pace.fps, pace.latency_ms, pace.last, pace.frames) == (0, None, None, 0)


def test_the_record_of_a_status_has_the_fields_that_feeds_show() -> None:
    clock = FakeClock()
    statistics = Statistics(clock)
    statistics.frame()
    clock.advance(0.5)
    statistics.frame()
    statistics.decision(decision(12.3456))
    health = Health("reconnecting", "PyAV", 2, "It is gone.", 3)
    status = SourceStatus(
        "cam", True, None, health, statistics.pace(), Ledger(7, 4, 2), 3, (1, 2, 3, 4)
    )
    assert status.to_record() == {
        "source": "cam",
        "state": "reconnecting",
        "backend": "PyAV",
        "reconnects": 2,
        "last_error": "It is gone.",
        "fps": 2.0,
        "frames": 2,
        "labelled": 1,
        "dropped": 5,
        "undrawn": 0,
        "pending": 1,
        "window_fill": 0.5,
        "warming_up": True,
        "latency_ms": {"p50": 12.346, "p90": 12.346, "p99": 12.346},
        "roi": [1, 2, 3, 4],
    }
