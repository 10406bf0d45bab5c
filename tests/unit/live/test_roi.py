from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies

from effvit_edge.core.clock import FakeClock
from effvit_edge.core.errors import InputError
from effvit_edge.core.preprocess import preprocess_frame
from effvit_edge.live import Intake, Roi, parse_roi
from effvit_edge.live.roi import cut
from effvit_edge.sources import Frame
from tests.tiny_models import tiny_card

SIDES = strategies.integers(1, 3000)
PARTS = strategies.floats(0, 1)


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("0,0,64,48", (0, 0, 64, 48)),
        ("10, 20, 1, 2", (10, 20, 1, 2)),
        ("0.0,0,1,1", (0, 0, 64, 48)),
        ("0.5,0.25,0.5,0.5", (32, 12, 32, 24)),
        ("0,0,.25,1e0", (0, 0, 16, 48)),
    ],
)
def test_whole_numbers_are_pixels_and_others_parts(text: str, box: tuple[int, ...]) -> None:
    assert parse_roi(text).pixels(48, 64) == box


@given(height=SIDES, width=SIDES, x=PARTS, y=PARTS, w=PARTS, h=PARTS)
def test_parts_always_lie_in_the_picture(
    height: int, width: int, x: float, y: float, w: float, h: float
) -> None:
    roi = Roi(x, y, max(1e-9, w * (1 - x)), max(1e-9, h * (1 - y)), in_pixels=False)
    left, top, columns, rows = roi.pixels(height, width)
    assert 0 <= left < left + columns <= width
    assert 0 <= top < top + rows <= height


@pytest.mark.parametrize(
    "text",
    ["", "1,2,3", "1,2,3,4,5", "a,0,1,1", "-1,0,5,5", "0,0,0,5", "0.5,0,0.6,1", "nan,0,1,1"],
)
def test_what_is_no_rectangle_in_a_picture_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="Give --roi as x,y,w,h"):
        parse_roi(text)


def test_pixels_beyond_the_picture_are_refused_when_it_is_known() -> None:
    with pytest.raises(InputError, match="reaches beyond the picture, which is 64x48 pixels"):
        parse_roi("60,0,5,5").pixels(48, 64)


def test_the_model_sees_the_region_as_if_it_were_the_picture() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    card = tiny_card("stream")
    intake = Intake(card, parse_roi("10,20,30,40"))
    prepared = intake.take(Frame(0, 0.0, 0.0, 0.0, lambda: image, FakeClock()))
    assert prepared is not None
    part = np.ascontiguousarray(image[20:60, 10:40])
    np.testing.assert_array_equal(prepared.pixels, preprocess_frame(part, card.preprocess))


def test_without_a_region_the_picture_is_not_copied() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    assert cut(image, None) is image
