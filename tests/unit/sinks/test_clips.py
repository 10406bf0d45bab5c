from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from effvit_edge.core.errors import InputError
from effvit_edge.sinks import ClipOptions, ClipRecorder
from effvit_edge.sinks.clips import JpegRing
from tests.numbered import number_of, numbered_frames
from tests.videos import decoded

FPS = 10


def recorded(
    folder: Path,
    events: list[tuple[int, str, float, float, float]],
    pictures: int = 100,
    **options: float,
) -> dict[str, list[int]]:
    """The numbers of the pictures in each clip, by its name, of a source at 10 a second.

    Events are ``number, label, when it is told, its start, its end``.
    """
    given = {"before_seconds": 1.0, "after_seconds": 0.5, "lag_seconds": 1.0, **options}
    recorder = ClipRecorder(ClipOptions(folder, **given), "hall/cam 1.mp4", FPS)  # type: ignore[arg-type]
    paths = []
    for index, image in enumerate(numbered_frames(pictures)):
        now = index / FPS
        for number, label, told, start, end in events:
            if index == round(told * FPS):
                recorder.begin(number, label, start)
            if index == round(end * FPS):
                recorder.end(number, end)
        paths += recorder.picture(image, now)
    paths += recorder.close()
    assert recorder.close() == []
    clips = {}
    for path in paths:
        with decoded(path) as (_, frames):
            assert float(frames[0].time) == 0
            numbers = [number_of(frame.to_ndarray(format="rgb24")) for frame in frames]
            times = [float(frame.time) for frame in frames]
        assert times == pytest.approx([(number - numbers[0]) / FPS for number in numbers])
        clips[path.name] = numbers
    assert sorted(path.name for path in folder.iterdir()) == sorted(clips)
    return clips


def test_a_clip_has_the_seconds_before_and_after_though_it_is_told_late(tmp_path: Path) -> None:
    clips = recorded(tmp_path, [(7, "Jump Rope!", 4.0, 3.2, 5.0)])
    assert clips == {"cam-1-0007-jump-rope.mp4": list(range(22, 56))}


def test_clips_of_events_close_to_each_other_overlap(tmp_path: Path) -> None:
    clips = recorded(tmp_path, [(1, "a", 3.0, 3.0, 4.0), (2, "b", 4.0, 4.0, 5.0)])
    assert clips == {
        "cam-1-0001-a.mp4": list(range(20, 46)),
        "cam-1-0002-b.mp4": list(range(30, 56)),
    }


def test_an_event_at_the_beginning_and_one_at_the_end_have_what_there_is(tmp_path: Path) -> None:
    clips = recorded(tmp_path, [(1, "a", 0.2, 0.0, 0.5), (2, "b", 9.0, 9.0, 99.0)])
    assert clips == {
        "cam-1-0001-a.mp4": list(range(0, 11)),
        "cam-1-0002-b.mp4": list(range(80, 100)),
    }


def test_no_seconds_around_an_event_is_the_event(tmp_path: Path) -> None:
    none = {"before_seconds": 0.0, "after_seconds": 0.0}
    clips = recorded(tmp_path, [(1, "a", 3.0, 3.0, 4.0)], **none)
    assert clips == {"cam-1-0001-a.mp4": list(range(30, 41))}


def test_a_label_without_letters_has_a_name_all_the_same(tmp_path: Path) -> None:
    assert list(recorded(tmp_path, [(1, "走る", 1.0, 1.0, 2.0)])) == ["cam-1-0001-label.mp4"]


def test_the_ring_is_bounded_in_seconds_and_in_bytes() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    by_time = JpegRing(seconds=2, max_bytes=1 << 30)
    by_size = JpegRing(seconds=1e9, max_bytes=50_000)
    for index in range(1000):
        for ring in (by_time, by_size):
            ring.add(noise, index / FPS)
        assert by_size.held_bytes <= 50_000
    assert [round(time * FPS) for time, _ in by_time.since(0)] == list(range(979, 1000))
    kept = by_size.since(0)
    assert 2 <= len(kept) < 50
    assert by_size.held_bytes == sum(data.nbytes for _, data in kept)


def test_what_the_ring_gives_back_is_close_to_what_it_was_given() -> None:
    ring = JpegRing(1, 1 << 20)
    smooth = np.zeros((64, 64, 3), np.uint8)
    smooth[..., 0] = np.arange(64) * 4
    ring.add(smooth, 0.0)
    ((_, data),) = ring.since(0)
    assert np.abs(ring.decoded(data).astype(int) - smooth).max() < 12


@pytest.mark.parametrize("name", ["before_seconds", "after_seconds"])
def test_negative_seconds_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"seconds {name.split('_')[0]} an event"):
        ClipOptions(tmp_path, **{name: -1.0})  # type: ignore[arg-type]
