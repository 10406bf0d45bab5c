from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from effvit_edge.core.clock import FakeClock
from effvit_edge.sinks.base import Image
from effvit_edge.sinks.web.pictures import Picture, Pictures

_PATIENCE = 60.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def pictures(clock: FakeClock) -> Iterator[Pictures]:
    one = Pictures(clock, per_second=15, max_side=64, quality=90)
    yield one
    one.close()


def _plain(grey: int, height: int = 48, width: int = 64) -> Image:
    return np.full((height, width, 3), grey, np.uint8)


def _decoded(picture: Picture | None) -> Image:
    assert picture is not None
    bgr = cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    return np.ascontiguousarray(bgr[..., ::-1]).astype(np.uint8)


def test_nothing_is_wanted_and_nothing_encoded_while_nobody_looks(pictures: Pictures) -> None:
    assert not pictures.wants("a")
    pictures.offer("a", _plain(1), 0.0)
    assert pictures.next("a", 0, 0) is None
    with pictures.watching("a"):
        assert pictures.wants("a")
        assert not pictures.wants("b")
    assert not pictures.wants("a")


def test_a_picture_arrives_in_its_colours_and_with_its_time(pictures: Pictures) -> None:
    image = _plain(0)
    image[:, :32] = (200, 40, 10)
    with pictures.watching("a"):
        pictures.offer("a", image, 3.25)
        picture = pictures.next("a", 0, _PATIENCE)
    assert picture is not None
    assert picture.pts_seconds == 3.25
    assert np.abs(_decoded(picture)[:, :24].astype(int) - (200, 40, 10)).max() < 12


def test_large_pictures_are_scaled_down_in_their_shape(pictures: Pictures) -> None:
    with pictures.watching("a"):
        pictures.offer("a", _plain(90, 90, 160), 0.0)
        assert _decoded(pictures.next("a", 0, _PATIENCE)).shape == (36, 64, 3)


def test_two_who_look_get_the_same_bytes(pictures: Pictures, clock: FakeClock) -> None:
    with pictures.watching("a"), pictures.watching("a"):
        pictures.offer("a", _plain(9), 0.0)
        assert pictures.next("a", 0, _PATIENCE) is pictures.next("a", 0, _PATIENCE)


@pytest.mark.parametrize(("source_fps", "wanted"), [(30, 15), (25, 15), (10, 10), (60, 15)])
def test_no_more_pictures_are_wanted_than_the_rate(
    pictures: Pictures, clock: FakeClock, source_fps: int, wanted: int
) -> None:
    seconds, taken = 10, 0
    with pictures.watching("a"):
        for frame in range(seconds * source_fps):
            if pictures.wants("a"):
                pictures.offer("a", _plain(frame % 256), 0.0)
                taken += 1
                assert pictures.next("a", taken - 1, _PATIENCE) is not None
            clock.advance(1 / source_fps)
    assert abs(taken - seconds * wanted) <= 2


def test_stills_are_wanted_once_a_second_for_a_while(pictures: Pictures, clock: FakeClock) -> None:
    pictures.want_still("a")
    taken = 0
    for _ in range(300):
        if pictures.wants("a"):
            pictures.offer("a", _plain(taken), 0.0)
            taken += 1
            assert pictures.next("a", taken - 1, _PATIENCE) is not None
        clock.advance(1 / 30)
    assert taken == 3


def test_what_was_seen_long_ago_is_not_shown_as_new(pictures: Pictures, clock: FakeClock) -> None:
    with pictures.watching("a"):
        pictures.offer("a", _plain(1), 0.0)
        assert pictures.next("a", 0, _PATIENCE) is not None
    clock.advance(60)
    with pictures.watching("a"):
        assert pictures.next("a", 0, 0) is None


def test_a_picture_that_cannot_be_encoded_costs_only_itself(
    pictures: Pictures, clock: FakeClock
) -> None:
    with pictures.watching("a"):
        pictures.offer("a", np.zeros((1, 70_000, 3), np.uint8)[:0], 0.0)
        clock.advance(1)
        pictures.offer("a", _plain(7), 1.0)
        while (picture := pictures.next("a", 0, _PATIENCE)) is None:
            pictures.offer("a", _plain(7), 1.0)
    assert picture.pts_seconds == 1.0


def test_the_end_lets_those_go_who_wait(clock: FakeClock) -> None:
    pictures = Pictures(clock, per_second=15, max_side=64, quality=90)
    pictures.close()
    assert pictures.next("a", 0, _PATIENCE) is None
