from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from effvit_edge.core.errors import EdgeError, InputError
from effvit_edge.live import Labeller, Outputs, label_source, label_sources
from effvit_edge.live.watch import Watcher
from effvit_edge.runtime import FakeSession
from effvit_edge.sinks import JsonlFileSink, MemorySink
from effvit_edge.sources import MemorySource, Source, SourceError, SourceRef
from tests.tiny_models import tiny_card
from tests.videos import stated_times

Played = tuple[float, np.ndarray] | Exception


def answer(frames: np.ndarray) -> np.ndarray:
    return np.array([0, 1, len(frames)], np.float32)


def labeller(**options: int) -> Labeller:
    return Labeller(FakeSession(tiny_card("stream"), answer), **options)


def frames(count: int, fps: float = 20.0, hw: tuple[int, int] = (128, 128)) -> list[Played]:
    return [(index / fps, np.full((*hw, 3), index, np.uint8)) for index in range(count)]


class Listener(Watcher):
    """Keeps what it is told, and asks to stop after some frames."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.notes: list[str] = []
        self.failed: list[str] = []
        self.frames = 0
        self._stop_after = stop_after

    def frame_done(self, frame: object, decision: object) -> None:
        self.frames += 1

    def source_failed(self, name: str, error: EdgeError) -> None:
        self.failed.append(f"{name}: {error}")

    def note(self, text: str) -> None:
        self.notes.append(text)

    def should_stop(self) -> bool:
        return self.frames == self._stop_after


def test_every_frame_is_drawn_and_every_sampled_one_recorded() -> None:
    records, pictures = MemorySink(), MemorySink()
    report = label_source(MemorySource(frames(10)), labeller(), records, pictures)
    assert (report.frames, report.decisions, report.complete) == (10, 5, True)
    assert [record["frame"] for record in records.records] == [0, 2, 4, 6, 8]
    assert [time for time, _ in pictures.pictures] == [index / 20 for index in range(10)]
    for index, (_, image) in enumerate(pictures.pictures):
        assert (image[0, 0] == index).all()
        assert (image[-20, 20] != index).any()


@pytest.mark.parametrize("later", [(720, 1280), (1080, 1920), (90, 160), (100, 100), (360, 641)])
def test_after_a_change_of_size_the_panel_stays_as_it_was(later: tuple[int, int]) -> None:
    def played(second: tuple[int, int]) -> list[np.ndarray]:
        pictures = MemorySink()
        black = [
            (0.1 * i, np.zeros((*hw, 3), np.uint8)) for i, hw in enumerate([(360, 640), second])
        ]
        # Never asked again after the first frame, so that both have the same to tell.
        label_source(MemorySource(black), labeller(stride=9), None, pictures)
        return [image for _, image in pictures.pictures]

    expected = played((360, 640))[1]
    assert expected.any()
    np.testing.assert_array_equal(played(later)[1], expected)


def test_without_a_video_frames_that_the_model_skips_are_never_converted() -> None:
    shown: list[int] = []
    source = MemorySource(frames(10))
    read = source.read

    def spying() -> object:
        frame = read()
        if hasattr(frame, "_load"):
            load, index = frame._load, frame.index
            frame._load = lambda: (shown.append(index), load())[1]
        return frame

    source.read = spying  # type: ignore[assignment]
    label_source(source, labeller(), MemorySink())
    assert shown == [0, 2, 4, 6, 8]


def test_stopping_ends_before_the_next_frame() -> None:
    watcher = Listener(stop_after=3)
    report = label_source(MemorySource(frames(10)), labeller(), watcher=watcher)
    assert (report.frames, report.stopped, report.complete) == (3, True, False)


def test_a_camera_that_is_stopped_is_complete() -> None:
    source = MemorySource(frames(10), is_live=True)
    report = label_source(source, labeller(), watcher=Listener(stop_after=3))
    assert (report.stopped, report.complete) == (True, True)


def test_an_error_of_the_source_is_told_and_what_came_before_is_kept() -> None:
    records, watcher = MemorySink(), Listener()
    source = MemorySource([*frames(4), SourceError("The cable is out.")])
    report = label_source(source, labeller(), records, watcher=watcher)
    assert (report.frames, len(records.records), report.complete) == (4, 2, False)
    assert str(report.failure) == "The cable is out."
    assert watcher.failed == ["memory: The cable is out."]


def test_an_error_of_the_model_is_raised() -> None:
    def broken(frames: np.ndarray) -> np.ndarray:
        raise EdgeError("The model failed.")

    session = FakeSession(tiny_card("stream"), broken)
    with pytest.raises(EdgeError, match="The model failed"):
        label_source(MemorySource(frames(1)), Labeller(session))


@pytest.mark.parametrize("count", [5, 60])
def test_a_source_slower_than_the_model_is_told_once(count: int) -> None:
    watcher = Listener()
    label_source(MemorySource(frames(count, fps=4), "slow"), labeller(), watcher=watcher)
    (note,) = watcher.notes
    assert note.startswith("slow has 4 frames a second and the model was trained at 10")


def test_a_source_as_fast_as_the_model_is_not_remarked_on() -> None:
    watcher = Listener()
    label_source(MemorySource(frames(60, fps=9.9)), labeller(), watcher=watcher)
    assert watcher.notes == []


def test_losses_and_changes_of_size_are_told() -> None:
    watcher = Listener()
    late = [(0.2 + time, image) for time, image in frames(4, hw=(130, 140))]
    source = MemorySource([*frames(4), *late], "odd.mp4")
    source.losses.add(3, "a packet does not decode")
    label_source(source, labeller(), watcher=watcher)
    assert watcher.notes == [
        "odd.mp4 changes its size at 0.20 s, and is judged anew.",
        "odd.mp4 has 3 frames lost (a packet does not decode).",
    ]


def job(
    tmp_path: Path, sources: Sequence[Source | EdgeError], watcher: Watcher | None = None
) -> object:
    """Label sources with files in a folder, as the command does."""
    by_name = {str(index): source for index, source in enumerate(sources)}

    def opened(ref: SourceRef) -> Source:
        source = by_name[ref.uri]
        if isinstance(source, EdgeError):
            raise source
        return source

    refs = [SourceRef(name, name) for name in by_name]
    outputs = Outputs(JsonlFileSink(tmp_path / "a.jsonl"), lambda ref: tmp_path / f"{ref.uri}.mp4")
    return label_sources(refs, labeller(), outputs, watcher, opened)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_job_labels_all_its_sources_each_from_the_start(tmp_path: Path) -> None:
    report = job(tmp_path, [MemorySource(frames(6), "one"), MemorySource(frames(4), "two")])
    assert (report.frames, report.decisions, report.stopped) == (10, 5, False)
    assert names(tmp_path) == ["0.mp4", "1.mp4", "a.jsonl"]
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert ['"window_fill": 0.25' in line for line in lines] == [True, False, False, True, False]
    assert stated_times(tmp_path / "1.mp4") == pytest.approx([0, 0.05, 0.1, 0.15])


def test_a_source_that_fails_does_not_lose_the_others(tmp_path: Path) -> None:
    watcher = Listener()
    sources = [InputError("0 is a text file."), MemorySource(frames(4))]
    report = job(tmp_path, sources, watcher)
    assert [done.source for done in report.failures] == ["0"]
    assert (report.frames, watcher.failed) == (4, ["0: 0 is a text file."])
    assert names(tmp_path) == ["1.mp4", "a.jsonl"]


def test_a_stopped_job_keeps_what_it_wrote_under_partial_names(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("older")
    watcher = Listener(stop_after=5)
    report = job(tmp_path, [MemorySource(frames(4)), MemorySource(frames(4))], watcher)
    assert (report.frames, report.stopped) == (5, True)
    assert names(tmp_path) == ["0.mp4", "1.partial.mp4", "a.jsonl", "a.partial.jsonl"]
    assert (tmp_path / "a.jsonl").read_text() == "older"
    assert len((tmp_path / "a.partial.jsonl").read_text().splitlines()) == 3
    assert len(stated_times(tmp_path / "1.partial.mp4")) == 1
    assert all("is kept as" in note for note in watcher.notes)


def test_a_job_stopped_between_two_sources_is_not_complete(tmp_path: Path) -> None:
    watcher = Listener(stop_after=4)
    report = job(tmp_path, [MemorySource(frames(4)), MemorySource(frames(4))], watcher)
    assert report.stopped
    assert "a.partial.jsonl" in names(tmp_path)


def test_an_unexpected_error_closes_the_files_and_goes_on(tmp_path: Path) -> None:
    sources = [MemorySource([*frames(4), RuntimeError("a bug")])]
    with pytest.raises(RuntimeError, match="a bug"):
        job(tmp_path, sources)
    assert names(tmp_path) == ["0.partial.mp4", "a.partial.jsonl"]
    assert len(stated_times(tmp_path / "0.partial.mp4")) == 4


def test_an_output_that_cannot_be_written_ends_the_job(tmp_path: Path) -> None:
    (tmp_path / "0.mp4").mkdir()
    with pytest.raises(InputError, match="it is a folder"):
        job(tmp_path, [MemorySource(frames(4))])


def test_sources_without_a_frame_leave_no_files(tmp_path: Path) -> None:
    report = job(tmp_path, [InputError("No.")])
    assert (report.jsonl, report.videos, names(tmp_path)) == (None, [], [])
