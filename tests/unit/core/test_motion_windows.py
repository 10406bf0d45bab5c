from __future__ import annotations

import numpy as np
import pytest

from effvit_edge.core.motion import LABELS, window_sequence
from effvit_edge.core.motion.patterns import dead_leaves
from effvit_edge.core.motion.plane import Image
from tests.unit.core.motion_measures import measured_similarity

SHIFT_OF = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
ZOOM_OF = {"closer": 1, "farther": -1}
TURN_OF = {"clockwise": 61, "counterclockwise": -61}


@pytest.fixture(scope="module")
def picture() -> Image:
    return dead_leaves(np.random.default_rng(2), 320)[20:260]


@pytest.mark.parametrize("speed", [0.008, 0.02])
@pytest.mark.parametrize("label", LABELS)
def test_windows_move_exactly_as_labelled(picture: Image, label: str, speed: float) -> None:
    clip = window_sequence(picture, label, speed, 3, 96)
    x, y, growth, degrees = measured_similarity(clip[0], clip[2])
    expected_x, expected_y = SHIFT_OF.get(label, (0, 0))
    assert x == pytest.approx(2 * speed * expected_x, abs=0.001)
    assert y == pytest.approx(2 * speed * expected_y, abs=0.001)
    assert growth == pytest.approx(2 * speed * ZOOM_OF.get(label, 0), abs=0.002 + 0.1 * speed)
    assert degrees == pytest.approx(2 * speed * TURN_OF.get(label, 0), abs=0.1)


@pytest.mark.parametrize("label", LABELS)
def test_windows_stay_inside_the_picture_for_48_frames(label: str) -> None:
    height, width = 200, 320
    picture = np.full((height, width, 3), 255, dtype=np.uint8)
    picture[:2] = picture[-2:] = picture[:, :2] = picture[:, -2:] = 0
    for seed in range(5):
        clip = window_sequence(picture, label, 0.02, 48, 32, np.random.default_rng(seed))
        # Only the frame of the picture is dark; a window that mirrored it would show it inside.
        assert (clip[:, 4:-4, 4:-4] > 200).all()


def test_zoom_goes_on_for_thirty_seconds(picture: Image) -> None:
    for label, sign in ZOOM_OF.items():
        clip = window_sequence(picture, label, 0.02, 900, 64)
        growths = [
            measured_similarity(clip[index], clip[index + 2])[2] / 2 for index in range(0, 898, 36)
        ]
        assert np.median(growths) == pytest.approx(0.02 * sign, rel=0.1)
        assert (np.sign(growths) == sign).all()


def test_still_windows_do_not_change(picture: Image) -> None:
    clip = window_sequence(picture, "still", 0.02, 5, 40)
    assert (clip == clip[0]).all()


def test_the_window_starts_elsewhere_with_another_seed(picture: Image) -> None:
    one, same, other = (
        window_sequence(picture, "left", 0.008, 2, 32, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert (one == same).all() and (one != other).any()


def test_a_picture_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be \(H, W, 3\) uint8, not \(9, 9\) float64"):
        window_sequence(np.zeros((9, 9)), "left", 0.01, 2, 8)  # type: ignore[arg-type]
