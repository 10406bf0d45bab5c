from __future__ import annotations

import itertools

import numpy as np
import pytest

from effvit_edge.core.motion import LABELS, render_film
from tests.unit.core.motion_measures import measured_shift

HW = (72, 96)


def test_a_film_tells_the_motion_of_every_frame() -> None:
    order = ["left", "up", "still", "right"]
    film = list(render_film(1, HW, fps=10, segment_seconds=0.4, labels=order))
    assert [frame.label for frame in film] == [label for label in order for _ in range(4)]
    assert [frame.segment for frame in film] == [n for n in range(4) for _ in range(4)]
    assert all(frame.image.shape == (*HW, 3) and frame.image.dtype == np.uint8 for frame in film)
    left = measured_shift(film[0].image, film[1].image)
    assert left[0] == pytest.approx(-0.036, rel=0.4)
    assert abs(left[1]) < 0.5 * abs(left[0])


def test_a_film_goes_through_every_motion_and_cuts_after_each_third() -> None:
    film = list(render_film(4, HW, fps=5, segment_seconds=0.4))
    firsts = [next(frames).label for _, frames in itertools.groupby(film, lambda f: f.segment)]
    assert sorted(firsts) == sorted(LABELS)
    change = [
        np.abs(one.image.astype(int) - other.image).mean()
        for one, other in itertools.pairwise(film)
    ]
    cuts = [change[5], change[11]]
    assert min(cuts) > 30.0


def test_the_same_seed_gives_the_same_film() -> None:
    one, same = (
        np.stack([frame.image for frame in render_film(2, HW, 5, 0.2, ["closer"])])
        for _ in range(2)
    )
    np.testing.assert_array_equal(one, same)


def test_an_unknown_motion_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown motion 'back'"):
        next(render_film(0, HW, labels=["back"]))
