"""Preprocessing against the same picture computed in float64 from the definition."""

from __future__ import annotations

import numpy as np
import pytest

from effvit_edge.core.card import Preprocess
from effvit_edge.core.preprocess import preprocess_frame, resize_frame


def area_weights(source: int, target: int) -> np.ndarray:
    """``(target, source)``: the share of each source pixel in the box of each target pixel."""
    edges = np.arange(target + 1) * source / target
    pixels = np.arange(source)
    upper = np.minimum(edges[1:, None], pixels[None] + 1)
    lower = np.maximum(edges[:-1, None], pixels[None])
    return np.clip(upper - lower, 0, None) * target / source


def linear_weights(source: int, target: int) -> np.ndarray:
    """``(target, source)``: interpolation between pixel centres, the border repeated."""
    centres = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    return np.clip(1 - np.abs(centres[:, None] - np.arange(source)[None]), 0, None)


def weights(source: int, target: int) -> np.ndarray:
    return (area_weights if target < source else linear_weights)(source, target)


def expected(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    rows = weights(frame.shape[0], height)
    columns = weights(frame.shape[1], width)
    return np.einsum("rh,hwc,kw->rkc", rows, frame.astype(np.float64), columns)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("source", "target", "bound"),
    [
        ((64, 96), (16, 24), 0.51),  # whole boxes
        ((64, 96), (32, 48), 0.51),
        ((63, 97), (20, 31), 0.51),  # boxes that share pixels
        ((20, 31), (20, 10), 0.51),  # one stays
        ((20, 31), (63, 97), 1.01),  # both grow: OpenCV interpolates in fixed point
        ((20, 97), (63, 31), 1.51),  # one grows, one shrinks: rounded twice
    ],
)
def test_scaling_is_its_definition_rounded(
    source: tuple[int, int], target: tuple[int, int], bound: float
) -> None:
    frame = noise(*source)
    error = resize_frame(frame, *target) - expected(frame, *target)
    assert np.abs(error).max() <= bound


def test_a_clip_of_real_shape_is_its_definition_rounded() -> None:
    spec = Preprocess(56, 56, "short_side", 0.875, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    clip = noise(8 * 160, 284).reshape(8, 160, 284, 3)
    for frame in clip:
        centre = frame[10:150, 72:212]  # 160 * 0.875 = 140 rows, and as many columns
        error = preprocess_frame(frame, spec) - expected(centre, 56, 56)
        assert np.abs(error).max() <= 0.51
