from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effvit_edge.core.motion.trajectory import (
    LABELS,
    Tiling,
    integrate,
    natural_velocity,
    shake,
    split_scale,
    steady_velocity,
)

SPEEDS = st.floats(0.004, 0.06)
SEEDS = st.integers(0, 2**32)
LENGTHS = st.integers(1, 200)


@given(SPEEDS, LENGTHS)
def test_steady_motion_has_its_closed_form(speed: float, num_frames: int) -> None:
    travel = speed * num_frames
    turn = math.radians(0.61 * 100 * travel)
    expected = {
        "left": (1, -travel),
        "right": (1, travel),
        "up": (1, -1j * travel),
        "down": (1, 1j * travel),
        "closer": (math.exp(travel), 0),
        "farther": (math.exp(-travel), 0),
        "clockwise": (cmath.exp(1j * turn), 0),
        "counterclockwise": (cmath.exp(-1j * turn), 0),
        "still": (1, 0),
    }
    assert set(expected) == set(LABELS)
    for label, (linear, shift) in expected.items():
        linears, shifts = integrate(1, 0, steady_velocity(label, speed, num_frames))
        assert linears[-1] == pytest.approx(linear, rel=1e-9)
        assert shifts[-1] == pytest.approx(shift, abs=1e-9)


@pytest.mark.parametrize("percent, degrees", [(0.8, 0.5), (2.0, 1.2)])
def test_rotation_speeds_match_the_two_speeds_networks_are_judged_at(
    percent: float, degrees: float
) -> None:
    growth = steady_velocity("clockwise", percent / 100, 1).growth[0]
    assert math.degrees(growth.imag) == pytest.approx(degrees, rel=0.03)


@given(SEEDS, SPEEDS, LENGTHS)
def test_natural_motion_stays_near_its_label(seed: int, speed: float, num_frames: int) -> None:
    directions = {"left": -1, "right": 1, "up": -1j, "down": 1j}
    for label in LABELS:
        motion = natural_velocity(np.random.default_rng(seed), label, speed, num_frames)
        if label == "still":
            assert not motion.drift.any() and not motion.growth.any()
            continue
        if label in directions:
            along = motion.drift / directions[label]
            assert (np.abs(np.angle(along)) <= math.radians(18.001)).all()
            assert (np.abs(motion.growth) <= 0.23 * np.abs(motion.drift)).all()
            main = np.abs(motion.drift)
        else:
            assert (np.abs(motion.drift) <= 0.1501 * np.abs(motion.growth)).all()
            steady = steady_velocity(label, speed, 1).growth[0]
            along = motion.growth / steady
            assert (np.abs(along.imag) <= 0.17 * along.real).all()
            main = along.real * speed
        assert (main >= 0.699 * speed).all() and (main <= 1.301 * speed).all()


@given(SEEDS, LENGTHS)
def test_a_hand_that_holds_still_shakes_by_less_than_a_tenth_of_64_pixels(
    seed: int, num_frames: int
) -> None:
    wander = shake(np.random.default_rng(seed), num_frames)
    assert wander.shape == (num_frames,)
    assert 64 * np.abs(wander.real).max() < 0.1 and 64 * np.abs(wander.imag).max() < 0.1


@given(
    st.floats(-6, 6),
    st.floats(-math.pi, math.pi),
    st.complex_numbers(max_magnitude=1e4),
    st.floats(0.1, 10),
    st.floats(0.1, 10),
    st.integers(2, 8),
)
def test_folding_moves_by_whole_periods_and_ends_near_the_origin(
    log_scale: float, angle: float, shift: complex, width: float, height: float, ratio: int
) -> None:
    linear = cmath.rect(math.exp(log_scale), angle)
    tiling = Tiling((width, height), ratio)
    generation, unit = split_scale(linear, ratio)
    assert unit * float(ratio) ** generation == pytest.approx(linear)
    assert 1 - 1e-9 <= abs(unit) < ratio * (1 + 1e-9)
    folded = tiling.fold(linear, shift)
    moved = (shift - folded) / unit
    assert moved.real / width == pytest.approx(round(moved.real / width), abs=1e-5)
    assert moved.imag / height == pytest.approx(round(moved.imag / height), abs=1e-5)
    rest = folded / unit
    assert abs(rest.real) <= width / 2 + 1e-6 and abs(rest.imag) <= height / 2 + 1e-6


def test_an_object_zooms_about_itself() -> None:
    _, places = integrate(1, 0.3 + 0.1j, steady_velocity("closer", 0.02, 50), about_itself=True)
    np.testing.assert_allclose(places, 0.3 + 0.1j)


def test_an_unknown_label_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown motion 'sideways'; expected one of left, right"):
        steady_velocity("sideways", 0.01, 3)
