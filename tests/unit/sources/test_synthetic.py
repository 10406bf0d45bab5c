from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from effvit_edge.core.clock import FakeClock
from effvit_edge.core.motion import LABELS, FilmFrame, render_film
from effvit_edge.sources import End, Frame, open_source
from effvit_edge.sources.options import Options
from effvit_edge.sources.synthetic import SEGMENT_SECONDS, MotionFilm, SyntheticCapture

FPS = 2.0  # few frames a motion, so that a round is quickly rendered
ROUND = len(LABELS) * round(SEGMENT_SECONDS * FPS)


def test_a_film_of_some_seconds_ends_and_loses_nothing() -> None:
    with open_source("synthetic://motion?size=32x24&fps=2&seconds=4&seed=5") as source:
        assert (source.name, source.is_live, source.expected_frames) == (
            "synthetic-motion",
            False,
            8,
        )
        frames = list(iter(source.read, End()))
        assert source.health.state == "ended"
    assert [frame.pts_seconds for frame in frames] == pytest.approx([i / 2 for i in range(8)])
    assert {frame.image.shape for frame in frames} == {(24, 32, 3)}


def test_what_is_true_of_a_frame_is_what_was_rendered() -> None:
    film = MotionFilm(32, 24, FPS, 5)
    order = [film.label(index) for index in range(0, len(film), round(SEGMENT_SECONDS * FPS))]
    assert sorted(order) == sorted(LABELS)
    assert len(film) == ROUND
    rendered = render_film(5, (24, 32), FPS, SEGMENT_SECONDS, order)
    scene = zip(film.frames(), itertools.islice(rendered, ROUND // 3), strict=False)
    for index, (image, frame) in enumerate(scene):
        np.testing.assert_array_equal(image, frame.image)
        assert film.label(index) == film.label(index + ROUND) == frame.label


@pytest.fixture
def quickly_rendered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Films of one grey a frame; how many frames have been rendered."""
    rendered = [0]

    def render(
        seed: int, hw: tuple[int, int], fps: float, seconds: float, labels: list[str]
    ) -> Iterator[FilmFrame]:
        for index in range(len(labels) * round(fps * seconds)):
            rendered[0] += 1
            yield FilmFrame(np.full((*hw, 3), index % 256, np.uint8), labels[0], 0)

    monkeypatch.setattr("effvit_edge.sources.synthetic.render_film", render)
    return rendered


@pytest.mark.parametrize("kept", [True, False])
def test_it_goes_round_the_same_whether_it_fits_into_memory_or_not(
    monkeypatch: pytest.MonkeyPatch, quickly_rendered: list[int], kept: bool
) -> None:
    if not kept:
        monkeypatch.setattr("effvit_edge.sources.synthetic._KEPT_BYTES", 0)
    film = MotionFilm(32, 24, FPS, 5)
    frames = list(itertools.islice(film.frames(), 2 * ROUND))
    assert [frame[0, 0, 0] for frame in frames] == 2 * list(range(ROUND))
    assert quickly_rendered == [ROUND if kept else 2 * ROUND]


def test_pictures_cannot_be_spoilt_for_the_next_round() -> None:
    picture = next(MotionFilm(32, 24, FPS, 5).frames())
    with pytest.raises(ValueError, match="read-only"):
        picture[0, 0, 0] = 1


def test_a_paced_film_gives_each_frame_when_it_is_due(quickly_rendered: list[int]) -> None:
    clock = FakeClock(10.0)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.advance(seconds)

    options = Options(size=(32, 24), fps=FPS, seconds=2.0, paced=True)
    with SyntheticCapture(options, clock, sleep) as capture:
        assert quickly_rendered == [ROUND]  # before the first is due
        grabbed = [capture.grab() for _ in range(2)]
        clock.advance(0.8)  # someone took that long: the next is late, the one after is not
        grabbed += [capture.grab() for _ in range(2)]
        assert capture.grab() is None
    arrivals = [frame.arrival_seconds for frame in grabbed if frame is not None]
    assert arrivals == pytest.approx([10.0, 10.5, 11.3, 11.5])
    assert waits == pytest.approx([0.5, 0.2])


@pytest.mark.usefixtures("quickly_rendered")
def test_a_paced_film_is_live_and_ends() -> None:
    with open_source("synthetic://motion?size=32&fps=50&seconds=0.2&paced=1&buffer=20") as source:
        assert source.is_live
        frames = [source.read(60) for _ in range(10)]
        assert all(isinstance(frame, Frame) for frame in frames)
        assert source.read(60) == End()
        assert (source.health.state, source.health.dropped) == ("ended", 0)


def test_an_endless_film_is_closed_while_it_plays() -> None:
    source = open_source("synthetic://motion?size=32&fps=2")
    assert source.expected_frames is None
    assert isinstance(source.read(), Frame)
    source.close()
    assert source.read() == End()
