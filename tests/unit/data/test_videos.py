from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from effvit_edge.core.card import Preprocess
from effvit_edge.core.errors import InputError
from effvit_edge.core.preprocess import preprocess_frame
from effvit_edge.data.decode import read_frames
from effvit_edge.data.listing import Video, VideoList, list_folder
from effvit_edge.data.loader import batches
from effvit_edge.data.types import iterate
from effvit_edge.data.videos import (
    Augmentation,
    VideoClips,
    VideoSequences,
    describe_failures,
    shrink_short_side,
)
from tests.videos import grey_frames, write_video

SPEC = Preprocess(16, 16, "short_side", 1.0, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
STRONG = Augmentation((0.3, 1.0), (0.7, 1.4), flip=0.5, color=0.5, speed=(0.5, 2.0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of grey videos, 12 frames at 25 a second: 0, 16, 32, …"""
    root = tmp_path_factory.mktemp("clips")
    for label in ("a", "b"):
        (root / label).mkdir()
        for number in range(2):
            write_video(root / label / f"{number}.mp4", grey_frames(12))
    return root


def make_clips(videos: VideoList, frames: int = 4, **changes: object) -> VideoClips:
    given: dict[str, object] = {
        "fps": 25.0,
        "seed": 0,
        "augmentation": Augmentation(),
        "cache_bytes": 10**9,
        **changes,
    }
    return VideoClips(videos, SPEC, frames=frames, **given)  # type: ignore[arg-type]


def greys(frames: np.ndarray) -> list[int]:
    """The grey of each frame, as a number of the source's frame."""
    return [round(float(frame.mean()) / 16) for frame in frames]


def test_frames_are_taken_on_the_time_grid(folder: Path) -> None:
    path = folder / "a" / "0.mp4"
    assert greys(np.stack(list(read_frames(path, 25.0)))) == list(range(12))
    assert greys(np.stack(list(read_frames(path, 5.0)))) == [0, 5, 10]
    assert greys(np.stack(list(read_frames(path, 100.0)))) == list(range(12))


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_a_turned_video_is_upright_as_opencv_shows_it(test_data: Path, angle: int) -> None:
    cv2 = pytest.importorskip("cv2")
    path = test_data / "odd_videos" / "decord" / f"video_{angle}.mov"
    picture = next(iter(read_frames(path, 30.0)))
    found, expected = cv2.VideoCapture(str(path)).read()
    assert found and picture.shape == expected.shape
    assert np.abs(picture.astype(int) - expected[..., ::-1]).mean() < 3


def test_a_file_that_may_not_be_read_is_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: path.name != "0.mp4")
    clips = make_clips(list_folder(folder))
    assert len(clips.failures) == 2
    assert "may not be read" in clips.failures[0]


def test_a_pass_takes_every_video_once_in_an_order_of_its_own(folder: Path) -> None:
    clips = make_clips(list_folder(folder))
    assert clips.epoch_clips == 4
    first, second = (
        [clips._frames(number)[0] for number in range(start, start + 4)] for start in (0, 4)
    )
    assert sorted(first) == sorted(second) == [0, 1, 2, 3]
    assert any(
        [clips._frames(n)[0] for n in range(start, start + 4)] != first for start in range(4, 40, 4)
    )


def test_clips_start_anywhere_and_short_videos_are_held(folder: Path) -> None:
    clips = make_clips(list_folder(folder))
    starts = set()
    for number in range(60):
        frames, labels = clips[number]
        seen = greys(frames)
        assert seen == list(range(seen[0], seen[0] + 4))
        assert len(set(labels[:, 0])) == 1 and len(labels) == 4
        starts.add(seen[0])
    assert starts == set(range(9))
    frames, _ = make_clips(list_folder(folder), frames=15)[0]
    assert greys(frames) == [*range(12), 11, 11, 11]


def test_a_clip_is_a_function_of_its_number_cached_or_not(folder: Path) -> None:
    videos = list_folder(folder)
    cached = make_clips(videos, augmentation=STRONG)
    decoded = make_clips(videos, augmentation=STRONG, cache_bytes=0)
    for number in (7, 0, 3):
        assert all(map(np.array_equal, cached[number], decoded[number]))


def test_all_frames_of_a_clip_are_augmented_alike(tmp_path: Path) -> None:
    """In a still film, every frame of an augmented clip is the same; other clips differ."""
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 255, (8, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    (tmp_path / "a").mkdir()
    write_video(tmp_path / "a" / "still.mkv", [picture] * 10, codec="ffv1")
    clips = make_clips(list_folder(tmp_path), augmentation=STRONG)
    firsts = []
    for number in range(8):
        frames, _ = clips[number]
        assert (frames == frames[0]).all()
        firsts.append(frames[0])
    assert len({first.tobytes() for first in firsts}) == 8


def test_evaluation_sees_the_frames_as_the_device_does(folder: Path) -> None:
    sequences = VideoSequences(list_folder(folder), SPEC, fps=25.0, cache_bytes=10**9)
    items = list(iterate(sequences))
    assert len(items) == len(sequences) == 4
    source = np.stack([preprocess_frame(f, SPEC) for f in read_frames(folder / "a/0.mp4", 25.0)])
    assert np.array_equal(items[0].frames, source)
    assert [int(item.targets[0, 0]) for item in items] == [0, 0, 1, 1]


@pytest.fixture
def broken(folder: Path, tmp_path: Path) -> VideoList:
    """The grey videos and two files that are none."""
    for name in ("x.mp4", "y.mp4"):
        (tmp_path / name).write_text("no film", encoding="utf-8")
    good = list_folder(folder)
    bad = (Video(tmp_path / "x.mp4", 0), Video(tmp_path / "y.mp4", 1))
    return VideoList(good.labels, bad + good.videos)


def test_unreadable_files_are_named_and_left_out(broken: VideoList) -> None:
    clips = make_clips(broken)
    assert clips.epoch_clips == 4
    text = describe_failures(clips.failures)
    assert text.startswith("2 videos left out.") and "x.mp4" in text and "y.mp4" in text
    sequences = VideoSequences(broken, SPEC, fps=25.0, cache_bytes=0)
    assert len(list(iterate(sequences))) == 4
    assert len(sequences.failures) == 2


def test_outside_memory_another_video_of_the_class_stands_in(broken: VideoList) -> None:
    clips = make_clips(broken, cache_bytes=0)
    assert {int(clips[number][1][0, 0]) for number in range(6)} == {0, 1}
    assert len(clips.failures) == 2 and "x.mp4" in "".join(clips.failures)
    rotten = VideoList(broken.labels, broken.videos[:2])
    with pytest.raises(InputError, match="of class 'a' cannot be decoded"):
        [make_clips(rotten, cache_bytes=0)[number] for number in range(2)]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_a_worker_is_the_datasets_own_sentence(broken: VideoList, workers: int) -> None:
    clips = make_clips(VideoList(broken.labels, broken.videos[:2]), cache_bytes=0)
    stream = batches(clips, batch_size=2, first_step=0, last_step=1, workers=workers)
    with pytest.raises(InputError) as caught:
        next(stream)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_worker_leaves_out_is_known_outside_it(broken: VideoList, workers: int) -> None:
    clips = make_clips(broken, cache_bytes=0)
    assert not clips.failures
    assert len(list(batches(clips, batch_size=6, first_step=0, last_step=2, workers=workers))) == 2
    assert len(clips.failures) == 2


def test_the_budget_is_never_exceeded(folder: Path) -> None:
    one = make_clips(list_folder(folder)).source.frames(0).nbytes
    for budget in (0, one - 1, one, 2 * one + 1):
        source = make_clips(list_folder(folder), cache_bytes=budget).source
        assert source.kept_bytes == budget // one * one
        assert all(len(source.frames(index)) == 12 for index in range(4))


def test_nothing_but_unreadable_files_is_an_error(broken: VideoList) -> None:
    with pytest.raises(InputError, match="None of 2 videos can be decoded"):
        make_clips(VideoList(broken.labels, broken.videos[:2]))


def test_shrinking_keeps_the_shape_and_never_grows() -> None:
    assert shrink_short_side(np.zeros((40, 60, 3), np.uint8), short_side=20).shape == (20, 30, 3)
    small = np.zeros((10, 60, 3), np.uint8)
    assert shrink_short_side(small, short_side=20) is small
