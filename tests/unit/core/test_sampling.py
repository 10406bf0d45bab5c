from __future__ import annotations

import math
from collections.abc import Iterable

import pytest

from effvit_edge.core.sampling import RateSampler


def taken(timestamps: Iterable[float], fps: float) -> list[int]:
    """The indices of the frames that a fresh sampler picks."""
    sampler = RateSampler(fps)
    return [i for i, pts in enumerate(timestamps) if sampler.take(pts)]


def steady(fps: float, seconds: float) -> list[float]:
    return [i / fps for i in range(round(fps * seconds))]


def test_half_the_rate_is_every_second_frame() -> None:
    assert taken(steady(30, 60), 15) == list(range(0, 1800, 2))


def test_timestamps_in_whole_milliseconds_change_nothing() -> None:
    milliseconds = [math.floor(1000 * pts) / 1000 for pts in steady(30, 60)]
    assert taken(milliseconds, 15) == list(range(0, 1800, 2))


def test_the_same_rate_is_every_frame() -> None:
    assert taken(steady(15, 60), 15) == list(range(900))


@pytest.mark.parametrize("fps", [16, 23.976, 24, 25, 29.97, 50, 59.94, 120, 240])
def test_the_rate_is_right_on_average(fps: float) -> None:
    assert len(taken(steady(fps, 600), 15)) == pytest.approx(9000, abs=1)


def test_the_nearest_frame_is_picked() -> None:
    # At 24 frames per second the slots of 15 lie at 0, 1.6, 3.2, 4.8, 6.4 and 8 source frames.
    assert taken(steady(24, 0.4), 15) == [0, 2, 3, 5, 6, 8]


def test_a_slower_source_has_every_frame_taken_once() -> None:
    assert taken(steady(10, 30), 15) == list(range(300))


def test_a_frame_is_never_taken_twice() -> None:
    assert taken([0.0, 0.0, 0.1, 0.1, 0.1, 0.2], 15) == [0, 2, 5]


def test_a_stall_leaves_slots_empty_and_the_rate_goes_on() -> None:
    before, after = steady(30, 1), [5 + pts for pts in steady(30, 1)]
    picked = taken(before + after, 15)
    assert picked == list(range(0, 60, 2))


def test_a_source_that_starts_again_starts_a_new_grid() -> None:
    assert taken(steady(30, 1) + steady(30, 1), 15) == list(range(0, 60, 2))


def test_a_small_step_back_is_not_a_new_grid() -> None:
    assert taken([0.0, 0.1, 0.06, 0.11, 0.2], 15) == [0, 1, 4]


def test_a_reset_forgets_the_past() -> None:
    sampler = RateSampler(15)
    assert sampler.take(100.0)
    assert not sampler.take(100.01)
    sampler.reset()
    assert sampler.take(100.01)


@pytest.mark.parametrize("fps", [0, -15, math.nan, math.inf])
def test_a_rate_that_is_none_is_refused(fps: float) -> None:
    with pytest.raises(ValueError, match="positive number"):
        RateSampler(fps)


@pytest.mark.parametrize("pts", [math.nan, math.inf])
def test_a_timestamp_that_is_none_is_refused(pts: float) -> None:
    with pytest.raises(ValueError, match="finite number"):
        RateSampler(15).take(pts)
