from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from effvit_edge.core.errors import EdgeError, InputError
from effvit_edge.live import LabelOptions, Outputs, RunReport, Watcher, label_sources
from effvit_edge.runtime import FakeSession
from effvit_edge.sinks import JsonlFileSink, MemorySink
from effvit_edge.sources import Frame, MemorySource, Source, SourceError, SourceRef
from tests.tiny_models import tiny_card
from tests.videos import decoded, stated_times

Played = tuple[float, np.ndarray] | Exception
STEP = 16  # grey levels from one frame to the next: no compression takes one for another


def answer(frames: np.ndarray) -> np.ndarray:
    return np.array([0, 1, len(frames)], np.float32)


def frames(count: int, fps: float = 20.0, hw: tuple[int, int] = (128, 128)) -> list[Played]:
    return [
        (index / fps, np.full((*hw, 3), STEP * index % 256, np.uint8)) for index in range(count)
    ]


class Listener(Watcher):
    """Keeps what it is told."""

    def __init__(self, stop_when: Callable[[], bool] = lambda: False) -> None:
        self.notes: list[str] = []
        self.failed: list[str] = []
        self._stop_when = stop_when

    def source_failed(self, name: str, error: EdgeError) -> None:
        self.failed.append(f"{name}: {error}")

    def note(self, text: str) -> None:
        self.notes.append(text)

    def should_stop(self) -> bool:
        return self._stop_when()


def run(
    sources: Sequence[Source | EdgeError],
    outputs: Outputs | None = None,
    watcher: Watcher | None = None,
    logits: Callable[[np.ndarray], np.ndarray] = answer,
    **options: int,
) -> RunReport:
    """Label sources one after another, as the command does."""
    by_name = {str(index): source for index, source in enumerate(sources)}

    def opened(ref: SourceRef) -> Source:
        source = by_name[ref.uri]
        if isinstance(source, EdgeError):
            raise source
        return source

    refs = [SourceRef(name, name) for name in by_name]
    session = FakeSession(tiny_card("stream"), logits)
    wanted = LabelOptions(**options)  # type: ignore[arg-type]
    return label_sources(refs, session, outputs or Outputs(), wanted, watcher, opened)


def in_files(folder: Path) -> Outputs:
    return Outputs(JsonlFileSink(folder / "a.jsonl"), lambda ref: folder / f"{ref.uri}.mp4")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def shown(path: Path) -> list[np.ndarray]:
    with decoded(path) as (_, pictures):
        return [picture.to_ndarray(format="rgb24").astype(int) for picture in pictures]


def test_every_frame_is_drawn_and_every_sampled_one_recorded(tmp_path: Path) -> None:
    records = MemorySink()
    outputs = Outputs(records, lambda ref: tmp_path / "a.mp4")
    report = run([MemorySource(frames(10))], outputs)
    (done,) = report.sources
    assert (done.frames, done.decisions, done.complete) == (10, 5, True)
    assert (done.ledger.produced, done.ledger.done, done.ledger.dropped) == (5, 5, 0)
    assert [record["frame"] for record in records.records] == [0, 2, 4, 6, 8]
    assert records.complete is True
    assert stated_times(tmp_path / "a.mp4") == pytest.approx([index / 20 for index in range(10)])
    for index, image in enumerate(shown(tmp_path / "a.mp4")):
        np.testing.assert_allclose(image[:20, 100:], STEP * index, atol=8)
        assert np.ptp(image[60:, :66]) > 80


@pytest.mark.parametrize("later", [(720, 1280), (1080, 1920), (90, 160), (100, 100), (360, 641)])
def test_after_a_change_of_size_the_panel_stays_as_it_was(
    tmp_path: Path, later: tuple[int, int]
) -> None:
    def played(second: tuple[int, int]) -> np.ndarray:
        black = [
            (0.1 * i, np.zeros((*hw, 3), np.uint8)) for i, hw in enumerate([(360, 640), second])
        ]
        # Both have the same to tell: of the first frame, or of the first after the change.
        outputs = Outputs(video_path=lambda ref: tmp_path / "a.mp4")
        run([MemorySource(black)], outputs, stride=9)
        return shown(tmp_path / "a.mp4")[1]

    expected = played((360, 640))
    assert expected.any()
    np.testing.assert_array_equal(played(later), expected)


def test_without_a_video_frames_that_the_model_skips_are_never_converted() -> None:
    converted: list[int] = []

    class Spied(MemorySource):
        def read(self, timeout: float | None = None) -> object:
            frame = super().read(timeout)
            if isinstance(frame, Frame):
                load, index = frame._load, frame.index
                frame._load = lambda: (converted.append(index), load())[1]
            return frame

    run([Spied(frames(10))], Outputs(MemorySink()))
    assert converted == [0, 2, 4, 6, 8]


def stopping_after(count: int) -> tuple[MemorySource, Callable[[], bool]]:
    """A source that someone asks to stop while it gives a frame, and keeps on giving."""
    given: list[float] = []

    def play() -> object:
        for item in frames(1_000_000, hw=(16, 16)):
            given.append(item[0])
            yield item

    return MemorySource(play()), lambda: len(given) >= count


def test_stopping_ends_and_what_was_read_is_labelled_and_drawn(tmp_path: Path) -> None:
    source, asked = stopping_after(40)
    records = MemorySink()
    watcher = Listener(asked)
    outputs = Outputs(records, lambda ref: tmp_path / "a.mp4")
    report = run([source], outputs, watcher)
    (done,) = report.sources
    assert (done.stopped, done.complete, report.stopped) == (True, False, True)
    assert done.ledger.pending == 0
    assert done.decisions == done.ledger.done == len(records.records)
    assert [record["frame"] for record in records.records] == list(range(0, done.frames, 2))
    assert names(tmp_path) == ["a.partial.mp4"]
    assert len(stated_times(tmp_path / "a.partial.mp4")) == done.frames
    assert watcher.notes[-1] == f"What was written before the end is kept as {report.kept[0]}."


def test_a_camera_that_is_stopped_is_complete() -> None:
    source, asked = stopping_after(3)
    source.is_live = True
    report = run([source], watcher=Listener(asked))
    assert (report.stopped, report.sources[0].complete) == (True, True)


def test_an_error_of_the_source_is_told_and_what_came_before_is_kept() -> None:
    records, watcher = MemorySink(), Listener()
    source = MemorySource([*frames(4), SourceError("The cable is out.")])
    report = run([source], Outputs(records), watcher)
    assert (report.frames, len(records.records), records.complete) == (4, 2, False)
    assert str(report.sources[0].failure) == "The cable is out."
    assert watcher.failed == ["memory: The cable is out."]


def test_an_error_of_the_model_is_raised() -> None:
    def broken(frames: np.ndarray) -> np.ndarray:
        raise EdgeError("The model failed.")

    with pytest.raises(EdgeError, match="The model failed"):
        run([MemorySource(frames(1))], logits=broken)


@pytest.mark.parametrize("count", [5, 60])
def test_a_source_slower_than_the_model_is_told_once(count: int) -> None:
    watcher = Listener()
    run([MemorySource(frames(count, fps=4), "slow")], watcher=watcher)
    (note,) = watcher.notes
    assert note.startswith("slow has 4 frames a second and the model was trained at 10")


def test_a_source_as_fast_as_the_model_is_not_remarked_on() -> None:
    watcher = Listener()
    run([MemorySource(frames(60, fps=9.9))], watcher=watcher)
    assert watcher.notes == []


def test_losses_and_changes_of_size_are_told() -> None:
    watcher = Listener()
    late = [(0.2 + time, image) for time, image in frames(4, hw=(130, 140))]
    source = MemorySource([*frames(4), *late], "odd.mp4")
    source.losses.add(3, "a packet does not decode")
    run([source], watcher=watcher)
    assert watcher.notes == [
        "odd.mp4 changes its size at 0.20 s, and is judged anew.",
        "odd.mp4 has 3 frames lost (a packet does not decode).",
    ]


def test_a_job_labels_all_its_sources_each_from_the_start(tmp_path: Path) -> None:
    sources = [MemorySource(frames(6), "one"), MemorySource(frames(4), "two")]
    report = run(sources, in_files(tmp_path))
    assert (report.frames, report.decisions, report.stopped) == (10, 5, False)
    assert names(tmp_path) == ["0.mp4", "1.mp4", "a.jsonl"]
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert ['"window_fill": 0.25' in line for line in lines] == [True, False, False, True, False]
    assert stated_times(tmp_path / "1.mp4") == pytest.approx([0, 0.05, 0.1, 0.15])


def test_a_source_that_fails_does_not_lose_the_others(tmp_path: Path) -> None:
    watcher = Listener()
    sources = [InputError("0 is a text file."), MemorySource(frames(4))]
    report = run(sources, in_files(tmp_path), watcher)
    assert [done.source for done in report.failures] == ["0"]
    assert (report.frames, watcher.failed) == (4, ["0: 0 is a text file."])
    assert names(tmp_path) == ["1.mp4", "a.jsonl"]


def test_a_stopped_job_keeps_what_it_wrote_under_partial_names(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("older")
    source, asked = stopping_after(10)
    report = run([MemorySource(frames(4)), source], in_files(tmp_path), Listener(asked))
    assert (report.stopped, len(report.sources)) == (True, 2)
    assert names(tmp_path) == ["0.mp4", "1.partial.mp4", "a.jsonl", "a.partial.jsonl"]
    assert (tmp_path / "a.jsonl").read_text() == "older"
    lines = (tmp_path / "a.partial.jsonl").read_text().splitlines()
    assert len(lines) == report.decisions
    assert len(stated_times(tmp_path / "1.partial.mp4")) == report.sources[1].frames


def test_a_job_stopped_before_its_last_source_is_not_complete(tmp_path: Path) -> None:
    source, asked = stopping_after(4)
    source.is_live = True  # complete by itself
    report = run([source, MemorySource(frames(4))], in_files(tmp_path), Listener(asked))
    assert report.stopped
    assert "a.partial.jsonl" in names(tmp_path)


def test_an_unexpected_error_closes_the_files_and_goes_on(tmp_path: Path) -> None:
    sources = [MemorySource([*frames(4), RuntimeError("a bug")])]
    with pytest.raises(RuntimeError, match="a bug"):
        run(sources, in_files(tmp_path))
    assert names(tmp_path) == ["0.partial.mp4", "a.partial.jsonl"]
    assert len(stated_times(tmp_path / "0.partial.mp4")) == 4


def test_an_output_that_cannot_be_written_ends_the_job(tmp_path: Path) -> None:
    (tmp_path / "0.mp4").mkdir()
    with pytest.raises(InputError, match="it is a folder"):
        run([MemorySource(frames(4))], in_files(tmp_path))


def test_sources_without_a_frame_leave_no_files(tmp_path: Path) -> None:
    report = run([InputError("No.")], in_files(tmp_path))
    assert (report.jsonl, report.videos, names(tmp_path)) == (None, [], [])
