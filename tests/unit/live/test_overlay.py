"""Properties of the drawn panel; how it looks was judged by eye."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from effvit_edge.live import Candidate, Decision, Latency, Overlay
from effvit_edge.live.text import fitted, text_mask

LABELS = ("left", "right", "up", "counterclockwise")
SIZES = [(128, 128), (240, 427), (360, 640), (568, 320), (1080, 1920), (1920, 1080), (2160, 3840)]


def decision(label: str = "left", score: float = 0.8, fill: float = 1.0, **change: Any) -> Decision:
    candidates = (Candidate(label, score), Candidate("up", 0.1), Candidate("right", 0.05))
    latency = Latency(1, 1, 1, 1, change.pop("ms", 8.2))
    return Decision("a", 0, 0.0, candidates, fill, latency, 0, np.zeros(3), **change)


def draw(
    hw: tuple[int, int], shown: Decision | None, seconds: float = 12.4, grey: int = 128
) -> Any:
    image = np.full((*hw, 3), grey, np.uint8)
    return Overlay(LABELS).draw(image, seconds, shown)


def changed(a: np.ndarray, b: np.ndarray) -> tuple[slice, slice]:
    """The smallest box around what differs between two pictures."""
    differs = (a != b).any(axis=2)
    assert differs.any()
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


@pytest.mark.parametrize("hw", SIZES, ids=str)
def test_only_the_lower_left_is_drawn_on(hw: tuple[int, int]) -> None:
    drawn = draw(hw, decision())
    rows, columns = changed(drawn, np.full_like(drawn, 128))
    assert drawn.shape == (*hw, 3)
    assert rows.start >= 0.4 * hw[0]
    assert columns.start > 0
    assert columns.stop < hw[1]
    assert rows.stop < hw[0]
    assert columns.start == hw[0] - rows.stop  # the same margin at both sides


@pytest.mark.parametrize("hw", SIZES, ids=str)
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_text_stands_out_from_any_background(hw: tuple[int, int], grey: int) -> None:
    drawn = draw(hw, decision("counterclockwise", fill=0.5), grey=grey)
    panel = drawn[changed(drawn, np.full_like(drawn, grey))].astype(int).sum(axis=2)
    ground, ink = np.median(panel), panel.max()
    assert ink - ground > 300


def test_the_source_image_is_left_alone() -> None:
    image = np.full((128, 128, 3), 9, np.uint8)
    Overlay(LABELS).draw(image, 0.0, decision())
    assert (image == 9).all()


@pytest.mark.parametrize("hw", SIZES, ids=str)
def test_another_label_changes_the_headline_and_its_bar_only(hw: tuple[int, int]) -> None:
    one, other = draw(hw, decision("left")), draw(hw, decision("right"))
    rows, columns = changed(one, other)
    panel_rows, panel_columns = changed(one, np.full_like(one, 128))
    assert panel_rows.start < rows.start
    assert rows.stop < panel_rows.stop
    assert panel_columns.start < columns.start
    middle = (panel_columns.start + panel_columns.stop) // 2
    assert columns.stop <= middle + 0.2 * (panel_columns.stop - panel_columns.start)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (decision(score=0.8), decision(score=0.4)),
        (decision(fill=1.0), decision(fill=0.5)),
        (decision(fill=0.25), decision(fill=0.5)),
        (decision(ms=8.2), decision(ms=9.9)),
        (decision(), None),
    ],
    ids=["score", "warming up", "fill", "latency", "none yet"],
)
def test_what_is_told_is_seen(one: Decision, other: Decision | None) -> None:
    assert (draw((128, 128), one) != draw((128, 128), other)).any()


def test_the_time_is_the_pictures_own() -> None:
    same = decision()
    assert (draw((128, 128), same, 12.4) != draw((128, 128), same, 12.5)).any()


def test_the_panel_does_not_jump() -> None:
    background = np.full((360, 640, 3), 128, np.uint8)
    boxes = {
        str(changed(draw((360, 640), shown), background))
        for shown in (None, decision(), decision("counterclockwise"), decision(fill=0.3))
    }
    assert len(boxes) == 1


def test_a_bar_is_as_long_as_its_score() -> None:
    lengths = []
    for score in (0.25, 0.5, 1.0):
        drawn = draw((1080, 1920), decision(score=score)).astype(int)
        green = (drawn[..., 1] - drawn[..., 0] > 100).sum(axis=1).max()
        lengths.append(green)
    assert lengths[1] == pytest.approx(2 * lengths[0], rel=0.03)
    assert lengths[2] == pytest.approx(4 * lengths[0], rel=0.03)


@pytest.mark.parametrize(
    ("hw", "expected"),
    [((1, 1), (128, 128)), ((60, 100), (180, 300)), ((127, 400), (254, 800)), ((1, 9000), None)],
)
def test_small_pictures_are_enlarged_by_a_whole_factor(
    hw: tuple[int, int], expected: tuple[int, int] | None
) -> None:
    drawn = draw(hw, decision())
    assert drawn.shape[:2] == (expected or hw)
    if expected:
        assert (drawn[0, 0] == 128).all()


@pytest.mark.parametrize("hw", [(1, 9000), (9000, 1), (3, 5000)], ids=str)
def test_a_shape_without_room_for_the_panel_is_left_as_it_is(hw: tuple[int, int]) -> None:
    assert (draw(hw, decision()) == 128).all()


def test_a_long_label_is_cut_and_stays_in_the_panel() -> None:
    long = "playing a very long instrument of brass in a marching band at night"
    labels = (*LABELS, long)
    background = np.full((360, 640, 3), 128, np.uint8)
    overlay = Overlay(labels)
    short = changed(overlay.draw(background, 0, decision("left")), background)
    assert changed(overlay.draw(background, 0, decision(long)), background) == short


def test_text_fits_the_width_it_is_given() -> None:
    for width in (0, 1, 5, 20, 60, 200):
        assert fitted("counterclockwise", 12, width).shape[1] <= width
    assert fitted("up", 12, 500).shape == text_mask("up", 12).shape


def test_text_grows_with_its_size_and_weight() -> None:
    small, large = text_mask("left", 8), text_mask("left", 32)
    assert large.shape[1] == pytest.approx(4 * small.shape[1], rel=0.15)
    assert text_mask("left", 16, bold=True).sum() > 1.1 * text_mask("left", 16).sum()


@pytest.mark.parametrize("text", ["", " ", "Ångström", "日本", "a[b]"])
def test_any_text_can_be_drawn(text: str) -> None:
    mask = text_mask(text, 10)
    assert mask.ndim == 2
    assert (mask >= 0).all()
    assert (mask <= 1).all()
