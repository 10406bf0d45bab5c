from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effvit_edge.core.card import LabelGroup
from effvit_edge.core.errors import InputError
from effvit_edge.data.augment import Augmentation
from effvit_edge.data.clips import VideoClips, shrink_short_side
from effvit_edge.data.failures import describe_failures
from effvit_edge.data.loader import batches
from effvit_edge.data.segments import Segment, SegmentList
from effvit_edge.data.types import IGNORE
from tests.unit.data.test_sequences import with_spec
from tests.videos import grey_frames, write_video

STRONG = Augmentation((0.3, 1.0), (0.7, 1.4), flip=0.5, color=0.5, speed=(0.5, 2.0))
LABELS = (LabelGroup("label", ("a", "b")),)


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> SegmentList:
    """Two classes of two grey videos, 12 frames at 25 a second: 0, 16, 32, …"""
    root = tmp_path_factory.mktemp("clips")
    segments = []
    for target, label in enumerate("ab"):
        for number in range(2):
            path = write_video(root / f"{label}{number}.mp4", grey_frames(12))
            segments.append(Segment(path.name, path, (target,)))
    return SegmentList(LABELS, tuple(segments))


@pytest.fixture
def broken(listed: SegmentList, tmp_path: Path) -> SegmentList:
    """The grey videos after two files that are none."""
    bad = []
    for target, name in enumerate(("x.mp4", "y.mp4")):
        (tmp_path / name).write_text("no film", encoding="utf-8")
        bad.append(Segment(name, tmp_path / name, (target,)))
    return replace(listed, segments=(*bad, *listed.segments))


def make_clips(segments: SegmentList, frames: int = 4, **changes: Any) -> VideoClips:
    given: dict[str, Any] = {"frames": frames, "seed": 0, "cache_bytes": 10**9, **changes}
    return VideoClips(segments, **with_spec(segments, given))


def only(listed: SegmentList, **changes: Any) -> SegmentList:
    """The first segment alone, changed."""
    return replace(listed, segments=(replace(listed.segments[0], **changes),))


def greys(frames: np.ndarray) -> list[int]:
    """The grey of each frame, as a number of the source's frame."""
    return [round(float(frame.mean()) / 16) for frame in frames]


def test_a_pass_takes_every_segment_once_in_an_order_of_its_own(listed: SegmentList) -> None:
    clips = make_clips(listed)
    assert clips.epoch_clips == 4
    names = [clips.name(number) for number in range(40)]
    passes = [names[start : start + 4] for start in range(0, 40, 4)]
    assert all(sorted(p) == ["a0.mp4", "a1.mp4", "b0.mp4", "b1.mp4"] for p in passes)
    assert any(p != passes[0] for p in passes)
    for number in range(8):
        assert int(clips[number][1][0, 0]) == "ab".index(names[number][0])


@pytest.mark.parametrize("cache_bytes", [0, 10**9])
def test_clips_start_anywhere_and_short_videos_are_held(
    listed: SegmentList, cache_bytes: int
) -> None:
    clips = make_clips(only(listed), cache_bytes=cache_bytes)
    starts = set()
    for number in range(60):
        frames, targets = clips[number]
        seen = greys(frames)
        assert seen == list(range(seen[0], seen[0] + 4))
        assert targets.tolist() == [[0]] * 4
        starts.add(seen[0])
    assert starts == set(range(9))
    held = make_clips(only(listed), frames=15, cache_bytes=cache_bytes)
    assert greys(held[0][0]) == [*range(12), 11, 11, 11]
    assert held.lengths_frames == {"a0.mp4": 12}


@pytest.mark.parametrize("chosen", [{}, {"sampling": "uniform"}, {"lead_s": 0.2}])
def test_a_clip_is_a_function_of_its_number_cached_or_not(
    listed: SegmentList, chosen: dict[str, Any]
) -> None:
    part = only(listed, start_s=0.12, end_s=0.4)
    cached = make_clips(part, augmentation=STRONG, **chosen)
    read = make_clips(part, augmentation=STRONG, cache_bytes=0, **chosen)
    for number in (7, 0, 3):
        for one, other in zip(cached[number], read[number], strict=True):
            assert np.array_equal(one, other)
    assert not np.array_equal(cached[0][0], cached[1][0])


def test_a_segment_is_all_that_is_shown(listed: SegmentList) -> None:
    for cache_bytes in (0, 10**9):
        clips = make_clips(only(listed, start_s=0.16, end_s=0.36), cache_bytes=cache_bytes)
        assert {tuple(greys(clips[n][0])) for n in range(20)} == {(4, 5, 6, 7), (5, 6, 7, 8)}


@pytest.mark.parametrize("cache_bytes", [0, 10**9])
def test_lead_in_has_no_label_and_a_clip_ends_anywhere_in_its_segment(
    listed: SegmentList, cache_bytes: int
) -> None:
    """The segment is frames 4 to 8; at most 3 frames before it are shown."""
    part = only(listed, start_s=0.16, end_s=0.36)
    clips = make_clips(part, lead_s=0.12, cache_bytes=cache_bytes)
    seen = set()
    for number in range(60):
        frames, targets = clips[number]
        shown = greys(frames)
        assert shown == list(range(shown[0], shown[0] + 4))
        assert targets[:, 0].tolist() == [IGNORE if grey < 4 else 0 for grey in shown]
        seen.add(shown[-1])
    assert seen == {4, 5, 6, 7, 8}


def test_without_footage_before_it_a_segment_has_no_lead_in(listed: SegmentList) -> None:
    clips = make_clips(only(listed, end_s=0.16), frames=6, lead_s=1.0)
    for number in range(10):
        frames, targets = clips[number]
        assert greys(frames) == [0, 1, 2, 3, 3, 3] and targets.min() == 0


@pytest.mark.parametrize("cache_bytes", [0, 10**9])
def test_uniform_sampling_takes_one_frame_of_each_part(
    listed: SegmentList, cache_bytes: int
) -> None:
    clips = make_clips(only(listed), frames=3, sampling="uniform", fps=1.0, cache_bytes=cache_bytes)
    seen = np.array([greys(clips[number][0]) for number in range(80)])
    for part in range(3):  # a moment at the end of a part may be nearest to the next frame
        assert set(seen[:, part]) <= set(range(4 * part, 4 * part + 5))
        assert set(seen[:, part]) >= set(range(4 * part, 4 * part + 4))


def test_one_frame_of_a_video_is_a_picture_of_an_image_dataset(listed: SegmentList) -> None:
    for sampling in ("rate", "uniform"):
        clips = make_clips(only(listed), frames=1, sampling=sampling)
        frames, targets = clips[0]
        assert frames.shape == (1, 16, 16, 3) and targets.shape == (1, 1)
        assert {greys(clips[number][0])[0] for number in range(99)} == set(range(12))


def test_a_video_of_one_frame_is_held(tmp_path: Path) -> None:
    path = write_video(tmp_path / "one.mp4", grey_frames(1))
    segments = SegmentList(LABELS, (Segment("one", path, (1,)),))
    for changes in ({}, {"sampling": "uniform"}, {"lead_s": 1.0}):
        for cache_bytes in (0, 10**9):
            clips = make_clips(segments, cache_bytes=cache_bytes, **changes)
            frames, targets = clips[0]
            assert greys(frames) == [0] * 4 and targets.tolist() == [[1]] * 4


def test_several_groups_and_labels_that_apply_together(listed: SegmentList) -> None:
    groups = (LabelGroup("verb", ("take", "put")), LabelGroup("noun", ("cup", "pan", "lid")))
    both = replace(only(listed, targets=(1, 2)), groups=groups)
    assert make_clips(both)[0][1].tolist() == [[1, 2]] * 4
    tags = replace(
        only(listed, targets=(0, 2), start_s=0.16),
        groups=(LabelGroup("tags", ("x", "y", "z"), exclusive=False),),
    )
    assert make_clips(tags)[0][1].tolist() == [[1, 0, 1]] * 4
    _, targets = make_clips(tags, frames=12, lead_s=1.0)[0]
    assert targets[0].tolist() == [IGNORE] * 3 and targets[-1].tolist() == [1, 0, 1]


def test_all_frames_of_a_clip_are_augmented_alike(tmp_path: Path) -> None:
    """In a still film, every frame of an augmented clip is the same; other clips differ."""
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 255, (8, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    path = write_video(tmp_path / "still.mkv", [picture] * 10, codec="ffv1")
    clips = make_clips(SegmentList(LABELS, (Segment("s", path, (0,)),)), augmentation=STRONG)
    firsts = []
    for number in range(8):
        frames, _ = clips[number]
        assert (frames == frames[0]).all()
        firsts.append(frames[0])
    assert len({first.tobytes() for first in firsts}) == 8


def test_a_size_that_changes_on_the_way_is_evened(listed: SegmentList, tmp_path: Path) -> None:
    """Frame folders may hold pictures of any size, each."""
    cv2 = pytest.importorskip("cv2")
    from effvit_edge.data.segments import FrameFolders

    for number, side in enumerate((20, 40, 30), start=1):
        cv2.imwrite(str(tmp_path / f"img_{number:05d}.jpg"), np.zeros((side, side, 3), np.uint8))
    storage = FrameFolders(fps=25.0)
    segments = SegmentList(LABELS, (Segment("f", tmp_path, (0,)),), storage)
    for cache_bytes in (0, 10**9):
        assert make_clips(segments, 3, cache_bytes=cache_bytes)[0][0].shape == (3, 16, 16, 3)


def test_unreadable_files_are_named_and_left_out(broken: SegmentList) -> None:
    clips = make_clips(broken)
    assert clips.epoch_clips == 4
    text = describe_failures(clips.failures)
    assert text.startswith("2 videos left out.") and "x.mp4" in text and "y.mp4" in text


def test_a_file_that_may_not_be_read_is_left_out(
    listed: SegmentList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: path.name != "a0.mp4")
    clips = make_clips(listed)
    assert len(clips.failures) == 1 and "may not be read" in clips.failures[0]


def test_outside_memory_another_segment_of_the_class_stands_in(broken: SegmentList) -> None:
    clips = make_clips(broken, cache_bytes=0)
    for number in range(6):
        expected = "ab".index(clips.name(number)[0]) if clips.name(number)[0] in "ab" else None
        target = int(clips[number][1][0, 0])
        assert target == (expected if expected is not None else "xy".index(clips.name(number)[0]))
    assert len(clips.failures) == 2 and "x.mp4" in "".join(clips.failures)
    rotten = make_clips(replace(broken, segments=broken.segments[:2]), cache_bytes=0)
    with pytest.raises(InputError, match=r"labelled like [xy]\.mp4 cannot be decoded"):
        rotten[0]


@pytest.mark.parametrize("cache_bytes", [0, 10**9])
def test_too_many_unreadable_files_stop_the_run(broken: SegmentList, cache_bytes: int) -> None:
    def use(**changes: Any) -> None:
        clips = make_clips(broken, cache_bytes=cache_bytes, **changes)
        for number in range(6):
            clips[number]

    use(max_failed_share=0.34)
    with pytest.raises(InputError, match=r"2 of 6 segments are missing or cannot be decoded"):
        use(max_failed_share=0.3)
    missing = ["There is no file z.mp4."]
    with pytest.raises(InputError, match=r"3 of 7 segments"):
        use(max_failed_share=0.4, missing=missing)
    with pytest.raises(InputError, match=r"1 of 7 segments .*First: There is no file z\.mp4"):
        use(max_failed_share=0.1, missing=missing)


def test_nothing_but_unreadable_files_is_an_error(broken: SegmentList) -> None:
    with pytest.raises(InputError, match="None of 2 videos can be decoded"):
        make_clips(replace(broken, segments=broken.segments[:2]))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_a_worker_is_the_datasets_own_sentence(
    broken: SegmentList, workers: int
) -> None:
    clips = make_clips(replace(broken, segments=broken.segments[:2]), cache_bytes=0)
    stream = batches(clips, batch_size=2, first_step=0, last_step=1, workers=workers)
    with pytest.raises(InputError) as caught:
        next(stream)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_worker_leaves_out_is_known_outside_it(broken: SegmentList, workers: int) -> None:
    clips = make_clips(broken, cache_bytes=0)
    assert not clips.failures
    assert len(list(batches(clips, batch_size=6, first_step=0, last_step=2, workers=workers))) == 2
    assert len(clips.failures) == 2


def test_what_all_workers_leave_out_is_counted_together(broken: SegmentList) -> None:
    """Each of two workers meets one bad file of six, which is allowed; both are too many."""
    seeds = range(50)
    for seed in seeds:
        clips = make_clips(broken, cache_bytes=0, seed=seed, max_failed_share=0.2)
        names = [clips.name(number) for number in range(6)]
        if (names.index("x.mp4") - names.index("y.mp4")) % 2:  # workers take turns
            break
    else:
        pytest.fail("no order gives each worker one of them")
    stream = batches(clips, batch_size=1, first_step=0, last_step=6, workers=2)
    with pytest.raises(InputError, match=r"2 of 6 segments are missing or cannot be decoded"):
        list(stream)


def test_the_budget_is_never_exceeded(listed: SegmentList) -> None:
    one = make_clips(only(listed)).kept_bytes
    assert one == 12 * 23 * 34 * 3  # 1.43 times the input, from 64x96
    for budget in (0, one - 1, one, 2 * one + 1):
        clips = make_clips(listed, cache_bytes=budget)
        assert clips.kept_bytes == budget // one * one
        assert all(len(clips[number][0]) == 4 for number in range(4))


def test_shrinking_keeps_the_shape_and_never_grows() -> None:
    assert shrink_short_side(np.zeros((40, 60, 3), np.uint8), short_side=20).shape == (20, 30, 3)
    small = np.zeros((10, 60, 3), np.uint8)
    assert shrink_short_side(small, short_side=20) is small


def test_videos_shorter_than_any_window(test_data: Path) -> None:
    """basketball5 has 5 to 10 frames a video, in many sizes."""
    root = test_data / "basketball5"
    files = sorted(p for p in root.rglob("*.mp4"))[::60]
    segments = SegmentList(LABELS, tuple(Segment(p.name, p, (0,)) for p in files))
    for changes in ({}, {"sampling": "uniform"}):
        for cache_bytes in (0, 10**9):
            clips = make_clips(segments, 24, cache_bytes=cache_bytes, fps=30.0, **changes)
            shapes = {clips[number][0].shape for number in range(len(files))}
            assert shapes == {(24, 16, 16, 3)} and not clips.failures
    assert max(make_clips(segments, fps=30.0).lengths_frames.values()) <= 10


def test_lengths_are_stated_read_or_looked_up(listed: SegmentList, tmp_path: Path) -> None:
    """Of 12 frames at 25 a second: all, 0.2 s after 0.2 s of lead-in, and 40 files of which some
    are opened, one of them rotten."""
    for cache_bytes in (0, 10**9):
        part = only(listed, start_s=0.2, end_s=0.4)
        assert make_clips(part, cache_bytes=cache_bytes).lengths_frames == {"a0.mp4": 5}
        led = make_clips(part, cache_bytes=cache_bytes, lead_s=9.0).lengths_frames
        assert led == {"a0.mp4": 10}
    (tmp_path / "x.mp4").write_text("no film", encoding="utf-8")
    many = [replace(listed.segments[0], name=str(number)) for number in range(40)]
    many[0] = replace(many[0], path=tmp_path / "x.mp4")
    found = make_clips(replace(listed, segments=tuple(many)), cache_bytes=0).lengths_frames
    assert len(found) == 31 and set(found.values()) == {12}
    assert "39" in found and "0" not in found
