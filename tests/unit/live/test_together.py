"""Several sources at once, live ones that are too fast, and those who watch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest

from effvit_edge.core.clock import FakeClock
from effvit_edge.live import (
    EventRules,
    Intake,
    Labeller,
    LabelOptions,
    Lane,
    Outputs,
    Prepared,
    RunReport,
    label_lanes,
)
from effvit_edge.live.health import HealthWatch
from effvit_edge.live.inference import Channel, Inference
from effvit_edge.live.mailbox import Ledger, Mailbox
from effvit_edge.live.statistics import Statistics
from effvit_edge.live.status import SourceStatus
from effvit_edge.live.stop import Stop
from effvit_edge.runtime import FakeSession
from effvit_edge.sinks import MemorySink
from effvit_edge.sources import Frame, Health, MemorySource, Source, SourceRef
from tests.live_faults import Listener, Played, grey_film
from tests.tiny_models import tiny_card

Answer = Callable[[np.ndarray], np.ndarray]


def answer(frames: np.ndarray) -> np.ndarray:
    return np.array([0, 9, frames[-1, 0, 0, 0] / 1000], np.float32)


def run(
    lanes: list[list[Source]],
    outputs: Outputs,
    options: LabelOptions | None = None,
    logits: Answer = answer,
    watcher: Listener | None = None,
) -> RunReport:
    by_name = {source.name: source for lane in lanes for source in lane}
    planned = [
        Lane([SourceRef(source.name, source.name) for source in lane], None, lane[0].is_live)
        for lane in lanes
    ]
    session = FakeSession(tiny_card("stream", fps=20), logits)
    return label_lanes(planned, session, outputs, options, watcher, lambda ref: by_name[ref.uri])


class Feed:
    """Keeps what it is told, and wants pictures of one source only."""

    def __init__(self, wanted: str = "") -> None:
        self.labels: list[Mapping[str, Any]] = []
        self.events: list[Mapping[str, Any]] = []
        self.pictures: list[tuple[str, tuple[int, ...], float]] = []
        self.statuses: list[Mapping[str, Any]] = []
        self.closed = 0
        self._wanted = wanted

    def label(self, record: Mapping[str, Any]) -> None:
        self.labels.append(record)

    def event(self, event: Mapping[str, Any]) -> None:
        self.events.append(event)

    def wants_picture(self, source: str) -> bool:
        return source == self._wanted

    def picture(self, source: str, image: np.ndarray, pts_seconds: float) -> None:
        self.pictures.append((source, image.shape, pts_seconds))

    def status(self, status: Mapping[str, Any]) -> None:
        self.statuses.append(status)

    def close(self) -> None:
        self.closed += 1


def test_feeds_are_told_what_the_records_have_and_how_the_sources_do() -> None:
    feed, records, table = Feed("a"), MemorySink(), MemorySink()
    sources: list[list[Source]] = [
        [MemorySource(grey_film(40, hw=(130, 140)), name)] for name in ("a", "b")
    ]
    options = LabelOptions(events=EventRules(min_seconds=0.2))
    run(sources, Outputs(records, events=table, feeds=[feed]), options)
    assert feed.labels == records.records
    assert len(feed.labels) == 80
    assert all("event" in record for record in feed.labels)
    began = [event for event in feed.events if event["end_s"] is None]
    ended = [event for event in feed.events if event["end_s"] is not None]
    assert [event["source"] for event in sorted(began, key=lambda event: event["source"])] == [
        "a",
        "b",
    ]
    assert ended == table.records
    assert {event["id"] for event in began} == {event["id"] for event in ended} == {1, 2}
    assert {(name, shape) for name, shape, _ in feed.pictures} <= {("a", (130, 140, 3))}
    times = [time for _, _, time in feed.pictures]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(39 / 20)  # the newest is always shown
    last = feed.statuses[-1]
    assert last["model"]["labels"] == list(tiny_card("stream").labels)
    assert last["model"]["window"] == 4
    assert [source["source"] for source in last["sources"]] == ["a", "b"]
    assert feed.closed == 1


class Window:
    """A window whose user presses a key at the third look."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.threads: set[int] = set()
        self.looks = self.closed = 0

    def show(self, name: str, image: np.ndarray) -> None:
        self.shown.append(name)

    def forget(self, name: str) -> None:
        pass

    def pump(self) -> bool:
        self.threads.add(threading.get_ident())
        self.looks += bool(self.shown)
        return self.looks == 3

    def close(self) -> None:
        self.closed += 1


def test_a_key_in_the_window_ends_the_run() -> None:
    window = Window()
    report = run(
        [[MemorySource(grey_film(10**9), "endless")]],
        Outputs(window=window),  # type: ignore[arg-type]
    )
    assert report.stopped
    assert set(window.shown) == {"endless"}
    assert window.threads == {threading.get_ident()}
    assert window.closed == 1


def test_a_feed_that_wants_no_picture_costs_no_conversion() -> None:
    converted: list[int] = []

    class Spied(MemorySource):
        def read(self, timeout: float | None = None) -> Any:
            frame = super().read(timeout)
            if isinstance(frame, Frame):
                load, index = frame._load, frame.index
                frame._load = lambda: (converted.append(index), load())[1]
            return frame

    run([[Spied(grey_film(10, fps=40))]], Outputs(feeds=[Feed()]))
    assert converted == [0, 2, 4, 6, 8]


def test_of_a_live_source_the_newest_frames_are_labelled_and_the_others_counted() -> None:
    """The model takes its time until the source has given everything."""
    exhausted, in_model = threading.Event(), threading.Event()

    def film() -> Iterator[Played]:
        for number, item in enumerate(grey_film(50)):
            if number == 1:
                in_model.wait()
            yield item
        exhausted.set()

    def slow(frames: np.ndarray) -> np.ndarray:
        in_model.set()
        exhausted.wait()
        return answer(frames)

    records = MemorySink()
    report = run([[MemorySource(film(), is_live=True)]], Outputs(records), logits=slow)
    assert [record["frame"] for record in records.records] == [0, 49]
    assert [record["dropped"] for record in records.records] == [0, 48]
    (done,) = report.sources
    assert done.ledger == Ledger(produced=50, done=2, dropped=48)
    assert report.skipped == 48


def test_sources_take_turns_while_they_have_frames_waiting() -> None:
    order: list[int] = []

    def told(frames: np.ndarray) -> np.ndarray:
        order.append(int(frames[-1, 0, 0, 0]))
        return answer(frames)

    stop, bell = Stop(), threading.Event()
    inference = Inference(stop, bell)
    session = FakeSession(tiny_card("stream", fps=20), told)
    channels = []
    for grey, waiting in ((10, 5), (20, 2), (30, 3)):
        mailbox: Mailbox[Prepared] = Mailbox(5, bell=bell)
        intake = Intake(session.card)
        for number in range(waiting):
            image = np.full((16, 16, 3), grey, np.uint8)
            frame = Frame(number, number / 20, 0.0, 0.0, partial(np.copy, image), FakeClock())
            prepared = intake.take(frame)
            assert prepared is not None
            mailbox.put(prepared)
        mailbox.finish()
        channel = Channel(str(grey), mailbox, Labeller(session), None, lambda *_: None)
        channels.append(channel)
        inference.add(channel)
    inference.start()
    assert all(channel.ended.wait(10) for channel in channels)
    assert inference.close(10)
    assert order == [10, 20, 30, 10, 20, 30, 10, 30, 10, 10]
    assert stop.error is None


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_only_so_many_finite_lanes_are_labelled_at_once(at_once: int) -> None:
    lock = threading.Lock()
    now: list[str] = []
    most: list[int] = []

    class Counted(MemorySource):
        def read(self, timeout: float | None = None) -> Any:
            with lock:
                if self.name not in now:
                    now.append(self.name)
                    most.append(len(now))
            return super().read(timeout)

        def close(self) -> None:
            with lock:
                if self.name in now:
                    now.remove(self.name)

    lanes: list[list[Source]] = [[Counted(grey_film(30), str(number))] for number in range(5)]
    report = run(lanes, Outputs(MemorySink()), LabelOptions(at_once=at_once))
    assert report.frames == 150
    assert max(most) <= at_once


def test_a_live_source_does_not_wait_for_finite_ones() -> None:
    """The finite source goes on until the live one, which is named last, has given a frame."""
    live_began = threading.Event()

    def waiting() -> Iterator[Played]:
        live_began.wait()
        yield from grey_film(3)

    def live() -> Iterator[Played]:
        live_began.set()
        yield from grey_film(3)

    lanes: list[list[Source]] = [
        [MemorySource(waiting(), "finite")],
        [MemorySource(live(), "live", is_live=True)],
    ]
    assert run(lanes, Outputs(), LabelOptions(at_once=1)).frames == 6


def status(health: Health) -> SourceStatus:
    pace = Statistics(FakeClock()).pace()
    return SourceStatus("cam", True, None, health, pace, Ledger(), 0, None)


def test_lost_contact_and_its_return_are_told_once_each() -> None:
    clock = FakeClock()
    watch = HealthWatch(clock)
    playing, lost = Health("playing", "x"), Health("reconnecting", "x", 0, "No route to host.")
    back = Health("playing", "x", 1, "No route to host.")
    told = []
    for health in (playing, lost, lost, back, back):
        told += watch.see([status(health)])
        clock.advance(1.25)
    assert told == [
        "cam has lost contact, and is tried again: No route to host.",
        "cam is back after 2.5 s.",
    ]


def test_a_return_that_nobody_saw_leave_is_told_too() -> None:
    watch = HealthWatch(FakeClock())
    assert watch.see([status(Health("playing", "x", 1))]) == ["cam is back."]
