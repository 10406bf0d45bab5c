"""A part of the run fails at any frame: no hang, no lost record, closed files, the right error."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from effvit_edge.core.errors import EdgeError, EnvironmentFault
from effvit_edge.live import LabelOptions, Lane, Outputs, RunReport, Watcher, label_lanes
from effvit_edge.runtime import FakeSession
from effvit_edge.sinks import JsonlFileSink, MemorySink
from effvit_edge.sources import MemorySource, Source, SourceError, SourceRef
from tests.live_faults import FailingSink, HangingSource, Listener, SilentSource, grey_film
from tests.tiny_models import tiny_card
from tests.videos import stated_times

FRAMES = 30
FEW = settings(max_examples=10)
at_any_frame = given(at=strategies.integers(0, FRAMES - 1))


def answer(frames: np.ndarray) -> np.ndarray:
    return np.array([0, 1, frames[-1, 0, 0, 0] / 100], np.float32)


def failing_answer(at: int, error: Exception) -> Callable[[np.ndarray], np.ndarray]:
    calls: list[int] = []

    def logits(frames: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) > at:
            raise error
        return answer(frames)

    return logits


def run(
    *sources: Source,
    outputs: Outputs,
    watcher: Watcher | None = None,
    logits: Callable[[np.ndarray], np.ndarray] = answer,
) -> RunReport:
    """Label sources at the same time, a lane each."""
    by_name = {source.name: source for source in sources}
    lanes = [
        Lane([SourceRef(name, name)], is_live=source.is_live) for name, source in by_name.items()
    ]
    session = FakeSession(tiny_card("stream", fps=20), logits)
    return label_lanes(
        lanes, session, outputs, LabelOptions(), watcher, lambda ref: by_name[ref.uri]
    )


def no_thread_is_left() -> bool:
    """None of a run's, that is; they are daemons, so nothing else would tell."""
    names = ("lane of", "inference", "records", "pictures of")
    threads = [thread for thread in threading.enumerate() if thread.name.startswith(names)]
    for thread in threads:
        thread.join(10)
    return not any(thread.is_alive() for thread in threads)


@FEW
@at_any_frame
def test_a_source_that_breaks_off_loses_nothing_that_it_gave(at: int) -> None:
    records, watcher = MemorySink(), Listener()
    broken = MemorySource([*grey_film(at), SourceError("It broke.")], "broken")
    whole = MemorySource(grey_film(FRAMES), "whole")
    report = run(broken, whole, outputs=Outputs(records), watcher=watcher)
    frames = {"broken": list(range(at)), "whole": list(range(FRAMES))}
    for name, expected in frames.items():
        got = [record["frame"] for record in records.records if record["source"] == name]
        assert got == expected
    assert watcher.failed == ["broken: It broke."]
    assert [str(done.failure) for done in report.failures] == ["It broke."]
    assert no_thread_is_left()


@FEW
@at_any_frame
def test_a_model_that_fails_ends_the_run_and_what_it_answered_is_written(at: int) -> None:
    records = MemorySink()
    logits = failing_answer(at, EdgeError("The device is gone."))
    with pytest.raises(EdgeError, match="The device is gone"):
        run(MemorySource(grey_film(FRAMES)), outputs=Outputs(records), logits=logits)
    assert [record["frame"] for record in records.records] == list(range(at))
    assert records.complete is False
    assert no_thread_is_left()


@FEW
@at_any_frame
def test_a_sink_that_fails_ends_the_run_with_its_reason(at: int) -> None:
    sink = FailingSink(at, EnvironmentFault("The disk is full."))
    with pytest.raises(EnvironmentFault, match="The disk is full"):
        run(MemorySource(grey_film(FRAMES)), outputs=Outputs(sink))
    assert [record["frame"] for record in sink.records] == list(range(at))
    assert sink.complete is False
    assert no_thread_is_left()


@FEW
@at_any_frame
def test_a_callback_that_raises_ends_the_run(at: int) -> None:
    seen: list[int] = []

    def decided(decision: object) -> None:
        if len(seen) == at:
            raise KeyError("mine")
        seen.append(at)

    with pytest.raises(KeyError, match="mine"):
        run(MemorySource(grey_film(FRAMES)), outputs=Outputs(decided=decided))
    assert len(seen) == at
    assert no_thread_is_left()


@FEW
@at_any_frame
def test_a_change_of_size_starts_the_window_anew_and_loses_nothing(at: int) -> None:
    records, watcher = MemorySink(), Listener()
    film = [*grey_film(at), *grey_film(FRAMES - at, hw=(20, 30), start=at)]
    run(MemorySource(film, "odd"), outputs=Outputs(records), watcher=watcher)
    assert [record["frame"] for record in records.records] == list(range(FRAMES))
    fills = [record["window_fill"] for record in records.records]
    ramp = [0.25, 0.5, 0.75]
    expected = [*(ramp + [1.0] * FRAMES)[:at], *(ramp + [1.0] * FRAMES)[: FRAMES - at]]
    assert fills == expected
    warming = ["warming_up" in record for record in records.records]
    assert warming == [fill < 1 for fill in fills]
    assert len(watcher.notes) == (at > 0)


def test_when_the_model_fails_the_video_is_playable_and_has_its_partial_name(
    tmp_path: Path,
) -> None:
    outputs = Outputs(JsonlFileSink(tmp_path / "a.jsonl"), lambda ref: tmp_path / "a.mp4")
    watcher = Listener()
    with pytest.raises(EdgeError, match="gone"):
        run(
            MemorySource(grey_film(FRAMES, hw=(128, 128))),
            outputs=outputs,
            watcher=watcher,
            logits=failing_answer(20, EdgeError("The device is gone.")),
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.partial.jsonl", "a.partial.mp4"]
    assert len(stated_times(tmp_path / "a.partial.mp4")) >= 20
    assert len((tmp_path / "a.partial.jsonl").read_text().splitlines()) == 20
    assert len([note for note in watcher.notes if "is kept as" in note]) == 2


def test_when_one_video_cannot_be_encoded_the_others_are_closed(tmp_path: Path) -> None:
    (tmp_path / "b.mp4").mkdir()
    sources = [MemorySource(grey_film(500, hw=(128, 128)), name) for name in ("a", "b")]
    outputs = Outputs(MemorySink(), lambda ref: tmp_path / f"{ref.name}.mp4")
    with pytest.raises(EdgeError, match="it is a folder"):
        run(*sources, outputs=outputs)
    left = [path for path in tmp_path.iterdir() if path.is_file()]
    for path in left:  # none, or what was drawn so far
        assert path.name == "a.partial.mp4"
        assert stated_times(path)
    assert no_thread_is_left()


def test_a_source_that_hangs_in_a_read_is_left_alone_within_a_second() -> None:
    stuck, records = HangingSource(5), MemorySink()
    asked: list[float] = []

    def stop() -> bool:
        if stuck.hangs.is_set() and not asked:
            asked.append(time.monotonic())
        return bool(asked)

    watcher = Listener(stop)
    report = run(stuck, outputs=Outputs(records), watcher=watcher)
    took = time.monotonic() - asked[0]
    stuck.let_go.set()
    assert no_thread_is_left()
    assert took < 5  # within a second where nothing else runs; a hang would be for ever
    (done,) = report.sources
    assert (done.hung, done.frames, done.decisions, report.stopped) == (True, 5, 5, True)
    assert len(records.records) == 5
    assert watcher.notes[0] == "stuck did not answer when asked to end, and is left alone."


def test_a_source_that_hangs_while_it_is_opened_is_left_alone() -> None:
    opening, let_go = threading.Event(), threading.Event()

    def open_source(ref: SourceRef) -> Source:
        opening.set()
        let_go.wait()
        return MemorySource([])

    watcher = Listener(opening.is_set)
    session = FakeSession(tiny_card("stream"), answer)
    lanes = [Lane([SourceRef("x", "far away")], is_live=True)]
    report = label_lanes(lanes, session, Outputs(), None, watcher, open_source)
    let_go.set()
    assert no_thread_is_left()
    assert report.stopped
    assert watcher.notes == ["far away did not answer when asked to end, and is left alone."]


def test_a_camera_without_frames_can_be_stopped() -> None:
    camera, records = SilentSource(3), MemorySink()
    report = run(camera, outputs=Outputs(records), watcher=Listener(camera.waits.is_set))
    (done,) = report.sources
    assert (done.hung, done.frames, report.stopped) == (False, 3, True)
    assert done.ledger.pending == 0
    assert no_thread_is_left()


def test_a_model_that_hangs_is_left_alone_and_files_are_closed() -> None:
    in_model, let_go = threading.Event(), threading.Event()

    def hangs(frames: np.ndarray) -> np.ndarray:
        in_model.set()
        let_go.wait()
        return answer(frames)

    records = MemorySink()
    watcher = Listener(in_model.is_set)
    source = MemorySource(grey_film(FRAMES))
    report = run(source, outputs=Outputs(records), watcher=watcher, logits=hangs)
    let_go.set()
    assert no_thread_is_left()
    (done,) = report.sources
    assert records.complete is False
    assert done.ledger.produced == done.ledger.done + done.ledger.dropped + done.ledger.pending
    assert "The model does not answer, and is left to itself." in watcher.notes


def test_an_interruption_of_the_calling_thread_closes_everything() -> None:
    class Interrupting(Watcher):
        def progress(self, sources: object) -> None:
            raise KeyboardInterrupt

    records = MemorySink()
    source = MemorySource(grey_film(10**9))
    with pytest.raises(KeyboardInterrupt):
        run(source, outputs=Outputs(records), watcher=Interrupting())
    assert records.complete is False
    assert no_thread_is_left()
