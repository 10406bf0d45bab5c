from __future__ import annotations

import numpy as np
import pytest

from effvit_edge.core.card import Preprocess, Resize
from effvit_edge.core.errors import InputError
from effvit_edge.core.preprocess import preprocess_frame, resize_frame

ONES = (1.0, 1.0, 1.0)


def spec(
    height: int, width: int, resize: Resize = "short_side", crop_ratio: float = 1.0
) -> Preprocess:
    return Preprocess(height, width, resize, crop_ratio, (0.5, 0.25, 1.0), ONES)


def columns_numbered(height: int, width: int) -> np.ndarray:
    """A frame whose every pixel holds the number of its column."""
    row = np.arange(width, dtype=np.uint8)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (height, width, 3)))


def test_a_wide_frame_loses_its_sides() -> None:
    frame = columns_numbered(10, 30)
    assert np.array_equal(preprocess_frame(frame, spec(10, 10)), frame[:, 10:20])


def test_a_tall_frame_loses_its_top_and_bottom() -> None:
    frame = columns_numbered(10, 30).transpose(1, 0, 2)
    assert np.array_equal(preprocess_frame(frame, spec(10, 10)), frame[10:20])


def test_a_wide_input_keeps_the_width_of_a_square_frame() -> None:
    frame = columns_numbered(40, 40)
    assert np.array_equal(preprocess_frame(frame, spec(20, 40)), frame[10:30])


def test_the_crop_ratio_keeps_the_middle() -> None:
    frame = columns_numbered(40, 80)
    assert np.array_equal(
        preprocess_frame(frame, spec(20, 20, crop_ratio=0.5)), frame[10:30, 30:50]
    )


def test_cropping_first_is_scaling_first_where_both_are_exact() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    scaled = resize_frame(frame, 240, 320)
    assert np.array_equal(preprocess_frame(frame, spec(240, 240)), scaled[:, 40:280])


def test_squash_keeps_both_edges() -> None:
    result = preprocess_frame(columns_numbered(10, 40), spec(10, 10, "squash"))
    assert result[0, :, 0].tolist() == pytest.approx(np.arange(1.5, 40, 4), abs=0.5)


def test_letterbox_puts_bars_of_the_mean_above_and_below() -> None:
    result = preprocess_frame(np.full((10, 20, 3), 7, np.uint8), spec(20, 20, "letterbox"))
    assert (result[5:15] == 7).all()
    assert (result[[0, 4, 15, 19]] == [128, 64, 255]).all()


@pytest.mark.parametrize("resize", ["short_side", "squash", "letterbox"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 2), (64, 48)])
def test_any_shape_of_one_colour_stays_that_colour(resize: Resize, shape: tuple[int, int]) -> None:
    frame = np.full((*shape, 3), (10, 200, 30), np.uint8)
    wanted = Preprocess(48, 64, resize, 0.9, (10 / 255, 200 / 255, 30 / 255), ONES)
    result = preprocess_frame(frame, wanted)
    assert result.shape == (48, 64, 3)
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous
    assert (result == (10, 200, 30)).all()


def test_one_axis_may_shrink_while_the_other_grows() -> None:
    frame = columns_numbered(4, 40)
    result = resize_frame(frame, 8, 10)
    means = frame[0, :, 0].reshape(10, 4).mean(axis=1)
    assert np.abs(result[:, :, 0] - means).max() <= 0.5


def test_the_result_never_shares_the_input() -> None:
    frame = columns_numbered(10, 10)
    for result in (preprocess_frame(frame, spec(10, 10)), resize_frame(frame, 10, 10)):
        assert not np.shares_memory(result, frame)


def test_a_flipped_view_is_as_good_as_its_copy() -> None:
    frame = columns_numbered(20, 30)[:, ::-1]
    wanted = spec(8, 8)
    assert np.array_equal(preprocess_frame(frame, wanted), preprocess_frame(frame.copy(), wanted))


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_frame_is_refused(frame: np.ndarray) -> None:
    with pytest.raises(InputError, match="uint8 RGB"):
        preprocess_frame(frame, spec(4, 4))
    with pytest.raises(InputError, match="uint8 RGB"):
        resize_frame(frame, 4, 4)
