from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effvit_edge.core.sampling import RateSampler
from effvit_edge.data.sampling import (
    count_slots,
    draw_positions,
    draw_uniform,
    spread_starts,
    spread_uniform,
)


@given(
    source_fps=st.sampled_from([10, 24, 25, 30, 60]),
    frames=st.integers(1, 200),
    share=st.sampled_from([1, 2, 3, 5]),
)
def test_slots_are_the_frames_that_a_stream_takes(source_fps: int, frames: int, share: int) -> None:
    """Of a source that is a whole number of times as fast."""
    fps = source_fps / share
    sampler = RateSampler(fps)
    taken = sum(sampler.take(i / source_fps) for i in range(frames))
    assert count_slots(frames / source_fps, fps) == taken


@given(
    count=st.integers(1, 60),
    frames=st.integers(1, 20),
    lead=st.none() | st.integers(0, 10),
    speed=st.sampled_from([(1.0, 1.0), (0.5, 2.0)]),
    seed=st.integers(0, 2**32),
)
def test_positions_lie_within_the_footage(
    count: int, frames: int, lead: int | None, speed: tuple[float, float], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    positions = draw_positions(rng, frames, count=count, lead=lead, speed=speed)
    assert len(positions) == frames
    assert (np.diff(positions) >= 0).all()
    assert positions[0] >= -(lead or 0) and 0 <= positions[-1] < count


def test_with_lead_in_the_end_is_uniform() -> None:
    rng = np.random.default_rng(0)
    ends = [
        draw_positions(rng, 8, count=5, lead=20, speed=(1.0, 1.0))[-1].item() for _ in range(5000)
    ]
    assert np.bincount(ends) / 5000 == pytest.approx([0.2] * 5, abs=0.03)


@given(frames=st.integers(1, 32), duration=st.floats(0, 600), seed=st.integers(0, 2**32))
def test_each_part_gives_one_moment(frames: int, duration: float, seed: int) -> None:
    drawn = draw_uniform(np.random.default_rng(seed), frames, duration)
    (middle,) = spread_uniform(frames, duration, 1)
    for i in range(frames):
        low, high = duration * i / frames, duration * (i + 1) / frames
        assert low - 1e-9 <= drawn[i] <= high + 1e-9
        assert middle[i] == pytest.approx((low + high) / 2)


def test_views_divide_every_part_evenly() -> None:
    views = np.stack(spread_uniform(2, 8.0, 4))
    assert views.tolist() == [[0.5, 4.5], [1.5, 5.5], [2.5, 6.5], [3.5, 7.5]]


@pytest.mark.parametrize(
    ("count", "views", "starts"),
    [(12, 3, [0, 4, 8]), (12, 1, [0]), (5, 4, [0, 1]), (3, 4, [0]), (6, 4, [0, 1, 2])],
)
def test_starts_are_spread_and_differ(count: int, views: int, starts: list[int]) -> None:
    assert spread_starts(count, 4, views) == starts
