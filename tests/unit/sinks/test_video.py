from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from effvit_edge.core.errors import EnvironmentFault, InputError
from effvit_edge.sinks import VideoSink
from tests.videos import decoded, grey_frames, stated_times

HALF_TICK = 0.5 / 90_000


def write(path: Path, times: list[float], frames: list[np.ndarray], complete: bool = True) -> None:
    sink = VideoSink(path, nominal_fps=25)
    for time, image in zip(times, frames, strict=True):
        sink.write(image, time)
    sink.close(complete)


@pytest.mark.parametrize(
    "times",
    [
        [i / 25 for i in range(60)],
        [8.3333, 8.366, 8.5, 9.1, 9.12, 9.9, 30.0],
        [0.08, 0.4, 0.44, 0.48, 2.0],
        [i * 1001 / 60000 for i in range(60)],
    ],
    ids=["steady", "late start", "variable", "59.94"],
)
def test_times_are_kept(tmp_path: Path, times: list[float]) -> None:
    path = tmp_path / "a.mp4"
    write(path, times, grey_frames(len(times)))
    assert stated_times(path) == pytest.approx(times, abs=HALF_TICK * 1.01)


def test_it_is_h264_that_everything_plays(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write(path, [0, 0.04], grey_frames(2))
    with decoded(path) as (stream, frames):
        assert stream.codec_context.name == "h264"
        assert frames[0].format.name == "yuv420p"
        assert (frames[0].colorspace, frames[0].color_range) == (1, 1)
    boxes = path.read_bytes()
    assert boxes.index(b"moov") < boxes.index(b"mdat")


@pytest.mark.parametrize("hw", [(64, 96), (63, 97), (1, 1), (2, 2000)])
def test_sides_are_made_even_by_repeating_the_edge(tmp_path: Path, hw: tuple[int, int]) -> None:
    path = tmp_path / "a.mp4"
    write(path, [0], [np.full((*hw, 3), 150, np.uint8)])
    with decoded(path) as (_, frames):
        image = frames[0].to_ndarray(format="rgb24")
    assert image.shape == (hw[0] + hw[0] % 2, hw[1] + hw[1] % 2, 3)
    np.testing.assert_allclose(image.astype(int), 150, atol=4)


def test_colours_survive(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    image = np.zeros((64, 64, 3), np.uint8)
    image[:] = (220, 60, 20)
    write(path, [0], [image])
    with decoded(path) as (_, frames):
        shown = frames[0].to_ndarray(format="rgb24")
    np.testing.assert_allclose(shown.reshape(-1, 3).mean(axis=0), (220, 60, 20), atol=5)


def test_another_size_is_fitted_in_on_black(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    tall = np.full((128, 64, 3), 200, np.uint8)
    write(path, [0, 0.04], [np.full((64, 96, 3), 200, np.uint8), tall])
    with decoded(path) as (_, frames):
        image = frames[1].to_ndarray(format="rgb24")[..., 1].astype(int)
    assert image.shape == (64, 96)
    np.testing.assert_allclose(image[8:-8, 40:56], 200, atol=8)
    np.testing.assert_allclose(image[:, :24], 0, atol=8)
    np.testing.assert_allclose(image[:, -24:], 0, atol=8)


def test_an_incomplete_video_plays_under_its_partial_name(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"older")
    write(path, [i / 25 for i in range(60)], grey_frames(60), complete=False)
    assert path.read_bytes() == b"older"
    assert len(stated_times(tmp_path / "a.partial.mp4")) == 60


def test_a_complete_video_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write(path, [0], grey_frames(1))
    assert list(tmp_path.iterdir()) == [path]


def test_while_it_grows_most_of_it_plays(tmp_path: Path) -> None:
    """As after a kill: the sink is never closed, and what lies on the disk is read."""
    sink = VideoSink(tmp_path / "a.mp4", nominal_fps=25)
    rng = np.random.default_rng(0)
    for index in range(200):
        sink.write(rng.integers(0, 256, (64, 96, 3), np.uint8), index / 25)
    copy = tmp_path / "copy.mp4"
    copy.write_bytes((tmp_path / "a.partial.mp4").read_bytes())
    assert len(stated_times(copy)) >= 100
    assert not (tmp_path / "a.mp4").exists()
    sink.close(complete=False)


def test_a_sink_without_pictures_leaves_no_file(tmp_path: Path) -> None:
    assert VideoSink(tmp_path / "a.mp4").close(complete=True) is None
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    image = grey_frames(1)[0]
    with pytest.raises(InputError, match="it is a folder"):
        VideoSink(tmp_path).write(image, 0)
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFault, match=r"Cannot write .*a\.mp4"):
        VideoSink(tmp_path / "file" / "a.mp4").write(image, 0)
