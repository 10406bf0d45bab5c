from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from effvit_edge.core.card import RESIZES, Preprocess, Resize
from effvit_edge.core.preprocess import preprocess_frame
from effvit_edge.data.augment import draw_augmentation

SPEC = Preprocess(16, 16, "short_side", 1.0, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
NOTHING: dict[str, Any] = {"scale": (1.0, 1.0), "aspect": (1.0, 1.0), "flip": 0.0, "color": 0.0}


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("frame_hw", [(16, 16), (20, 36), (36, 18)])
def test_no_augmentation_is_what_the_device_sees(resize: Resize, frame_hw: tuple[int, int]) -> None:
    frame, spec = noise(*frame_hw), replace(SPEC, height=16, width=24, resize=resize)
    draw = draw_augmentation(np.random.default_rng(1), frame_hw, spec, **NOTHING)
    seen = preprocess_frame(frame, spec)
    assert np.abs(draw.apply(frame, spec).astype(int) - seen).max() <= 1
    mirror = draw_augmentation(np.random.default_rng(1), frame_hw, spec, **{**NOTHING, "flip": 1.0})
    assert np.abs(mirror.apply(frame, spec).astype(int) - seen[:, ::-1]).max() <= 1


@pytest.mark.parametrize("resize", RESIZES)
def test_the_aspect_is_relative_to_the_picture_shown(resize: Resize) -> None:
    """Aspect 1: crops of the input's shape, or of the frame's where the frame is shown whole."""
    spec = replace(SPEC, height=100, width=150, resize=resize)
    rng = np.random.default_rng(0)
    expected = 1.5 if resize == "short_side" else 2.0
    for _ in range(20):
        draw = draw_augmentation(rng, (1000, 2000), spec, **{**NOTHING, "scale": (0.2, 0.6)})
        assert draw.crop_width / draw.crop_height == pytest.approx(expected, rel=0.01)


def test_bars_keep_the_mean_colour_whatever_is_drawn() -> None:
    spec = replace(SPEC, resize="letterbox", mean=(0.2, 0.4, 0.6))
    draw = draw_augmentation(
        np.random.default_rng(0), (20, 60), spec, **{**NOTHING, "flip": 1.0, "color": 0.9}
    )
    result = draw.apply(noise(20, 60), spec)
    bars = np.concatenate([result[:5], result[-5:]])
    assert (bars == np.array([51, 102, 153])).all()
    assert (result[7:9] != np.array([51, 102, 153])).any()


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("frame_hw", [(100, 100), (10, 300), (300, 10), (1, 1)])
def test_a_crop_lies_inside_any_frame(frame_hw: tuple[int, int], resize: Resize) -> None:
    spec = replace(SPEC, width=32, resize=resize)
    rng = np.random.default_rng(0)
    for _ in range(100):
        draw = draw_augmentation(
            rng, frame_hw, spec, scale=(0.1, 1.0), aspect=(0.5, 2.0), flip=0.5, color=0.3
        )
        assert draw.crop_height > 0 and draw.top + draw.crop_height <= frame_hw[0]
        assert draw.crop_width > 0 and draw.left + draw.crop_width <= frame_hw[1]
        assert min(draw.top, draw.left) >= 0
    assert draw.apply(np.zeros((*frame_hw, 3), np.uint8), spec).shape == (16, 32, 3)
