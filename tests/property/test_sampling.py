from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from effvit_edge.core.sampling import RateSampler

rates = st.floats(1, 120)


@given(
    fps=st.floats(5, 60),
    ratio=st.integers(1, 6),
    start=st.floats(-1e5, 1e5),
    jitter=st.lists(st.floats(-0.15, 0.15), min_size=2, max_size=200),
)
def test_jitter_does_not_change_an_integer_ratio(
    fps: float, ratio: int, start: float, jitter: list[float]
) -> None:
    sampler = RateSampler(fps)
    gap = 1 / (fps * ratio)
    picked = [sampler.take(start + (i + off) * gap) for i, off in enumerate(jitter)]
    assert picked == [i % ratio == 0 for i in range(len(jitter))]


@given(fps=rates, faster=st.floats(1, 8), count=st.integers(1, 600))
def test_a_steady_source_is_sampled_at_the_rate(fps: float, faster: float, count: int) -> None:
    sampler = RateSampler(fps)
    source_fps = fps * faster
    picked = sum(sampler.take(i / source_fps) for i in range(count))
    seconds = (count - 1) / source_fps
    assert abs(picked - (1 + seconds * fps)) <= 1


@given(fps=rates, gaps=st.lists(st.floats(0, 0.5), max_size=300))
def test_no_source_is_sampled_above_the_rate(fps: float, gaps: list[float]) -> None:
    sampler = RateSampler(fps)
    assert sampler.take(0.0)
    pts, picked = 0.0, 1
    for gap in gaps:
        pts += gap
        picked += sampler.take(pts)
    assert picked <= math.floor(pts * fps + 0.5) + 1


@given(fps=rates, slower=st.floats(1.01, 10), count=st.integers(1, 200))
def test_every_frame_of_a_slower_source_is_taken(fps: float, slower: float, count: int) -> None:
    sampler = RateSampler(fps)
    assert all(sampler.take(i * slower / fps) for i in range(count))
