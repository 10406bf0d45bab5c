from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effvit_edge.core.video.timestamps import TimestampRepair

STEP = 0.04


def repaired(stated: list[float | None]) -> list[float]:
    repair = TimestampRepair(STEP)
    return [round(repair.next(time), 9) for time in stated]


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ([8.3, 8.31, 9.9], [8.3, 8.31, 9.9]),
        ([-0.08, -0.04, 0.0], [-0.08, -0.04, 0.0]),
        ([None, None, None], [0.0, 0.04, 0.08]),
        ([0.0, None, 0.08], [0.0, 0.04, 0.08]),
        ([0.0, 0.04, 0.04, 0.08], [0.0, 0.04, 0.06, 0.08]),
        ([0.0, 0.08, 0.04, 0.12], [0.0, 0.08, 0.1, 0.12]),
        ([5.0, 5.04, 0.0, 0.04], [5.0, 5.04, 5.08, 5.12]),
        ([0.1, 0.3, 0.5, 0.1, 0.3, 0.5], [0.1, 0.3, 0.5, 0.52, 0.56, 0.76]),
    ],
    ids=["right", "negative", "none", "gap", "repeated", "swapped", "restarted", "restarted soon"],
)
def test_known_faults(stated: list[float | None], expected: list[float]) -> None:
    assert repaired(stated) == expected


times = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(st.none() | times, max_size=60))
def test_times_always_increase(stated: list[float | None]) -> None:
    repair = TimestampRepair(STEP)
    given_times = [repair.next(time) for time in stated]
    assert all(later > earlier for earlier, later in itertools.pairwise(given_times))


@given(st.lists(times, unique=True, max_size=60).map(sorted))
def test_increasing_times_are_left_alone(stated: list[float]) -> None:
    repair = TimestampRepair(STEP)
    assert [repair.next(time) for time in stated] == stated
    assert repair.repaired == 0
