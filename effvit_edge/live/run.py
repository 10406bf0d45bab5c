"""The whole job: starts the threads, looks after them, and sees that everything is closed.

::

    a lane's thread                the model's thread       the records' thread
    open, read, choose, prepare ─▶ label, find events ─┬─▶ records, events, feeds
              │                                        │
              └────────── pictures ──────────────┐     ▼
                                                 └─▶ a source's drawing thread: panel,
                                                     video, clips, window, feeds

The calling thread shows progress, keeps the window alive and ends the run.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.live.events import EventRules, numbers
from effvit_edge.live.health import HealthWatch
from effvit_edge.live.inference import Inference
from effvit_edge.live.lanes import Lane, LaneThread, OpenRef
from effvit_edge.live.news import News
from effvit_edge.live.outputs import Files, Outputs
from effvit_edge.live.records import RecordWriter
from effvit_edge.live.report import RunReport
from effvit_edge.live.source_run import LabelOptions, Shared
from effvit_edge.live.status import SourceStatus
from effvit_edge.live.stop import Stop
from effvit_edge.live.watch import Watcher
from effvit_edge.runtime import Session
from effvit_edge.sinks import RecordSink
from effvit_edge.sources import Source, SourceRef, open_source

_TICK_SECONDS = 0.05
_WINDOW_TICK_SECONDS = 0.01
_STATUS_SECONDS = 0.5
_DRAIN_SECONDS = 0.4  # for what was read to be labelled and drawn, once the run is to end
_HURRY_SECONDS = 0.3  # for what waits to be let go, and for a source to answer
_LEAVE_SECONDS = 0.1  # for each part of a source that does not answer


def open_ref(ref: SourceRef) -> Source:
    """Open a source by the name it was given."""
    return open_source(ref.uri, ref.name)


class Run:
    """One job; made once, run once.

    Args:
        lanes: what to label.
        session: the model; closing it is the caller's.
        options: how.
        outputs: where the labels go.
        watcher: is told what happens, and asked whether to stop.
        open_source: opens a source.
        clock: measures.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        session: Session,
        options: LabelOptions,
        outputs: Outputs,
        watcher: Watcher,
        open_source: OpenRef,
        clock: Clock | None = None,
    ) -> None:
        self.stop = Stop()
        self._session = session
        self._options = options
        self._outputs = outputs
        self._watcher = watcher
        self._clock = clock or MonotonicClock()
        self._news = News()
        self._health = HealthWatch(self._clock)
        self._files = Files()
        rules = options.events or (EventRules() if outputs.want_events else None)
        bell = threading.Event()
        self._inference = Inference(self.stop, bell)
        self._records = RecordWriter(
            self.stop,
            outputs.records,
            outputs.events,
            outputs.feeds,
            outputs.decided,
            with_event=rules is not None,
        )
        shared = Shared(
            session,
            options,
            rules,
            numbers(),
            self._inference,
            bell,
            self._records,
            self.stop,
            self._clock,
            self._news.note,
        )
        self._lanes = [
            LaneThread(lane, shared, outputs, self._files, open_source, self._news)
            for lane in lanes
        ]
        self._waiting = deque(self._lanes)
        self.report = RunReport()
        """How it went, once it has ended."""
        self._started = self._next_status = 0.0

    def __call__(self) -> RunReport:
        """Do it.

        Returns:
            How it went. Errors of the model and of the sinks are raised, after the files were
            closed under their partial names, which the watcher is told.
        """
        self._started = self._next_status = self._clock.now()
        self._inference.start()
        self._records.start()
        try:
            self._look_after()
        except BaseException as error:
            self.stop.fail(error)
        self._end()
        self._close()
        self.report.seconds = self._clock.now() - self._started
        self._news.deliver(self._watcher)
        if self.stop.error:
            raise self.stop.error
        return self.report

    def _look_after(self) -> None:
        """Until all lanes have ended, or the run is to end."""
        seconds = _WINDOW_TICK_SECONDS if self._outputs.window else _TICK_SECONDS
        while not self.stop.is_set:
            self._start_lanes()
            if not self._waiting and not any(lane.is_alive for lane in self._lanes):
                break
            self._tick()
            self._news.wait(seconds)
        self._tick(always=True)

    def _start_lanes(self) -> None:
        """Those that may: live ones at once, the others as there is room."""
        busy = sum(lane.is_alive and not lane.lane.is_live for lane in self._lanes)
        for lane in list(self._waiting):
            if lane.lane.is_live or busy < self._options.at_once:
                self._waiting.remove(lane)
                lane.start()
                busy += not lane.lane.is_live

    def _tick(self, always: bool = False) -> None:
        """What is done some times a second, in this thread."""
        statuses = self._statuses()
        if statuses:
            self._watcher.progress(statuses)
        for text in self._health.see(statuses):
            self._news.note(text)
        self._news.deliver(self._watcher)
        if self._watcher.should_stop():
            self.stop.ask()
        if self._outputs.window and self._outputs.window.pump():
            self.stop.ask()
        now = self._clock.now()
        if self._outputs.feeds and (always or now >= self._next_status):
            self._next_status = now + _STATUS_SECONDS
            record = self._status_record(now, statuses)
            for feed in self._outputs.feeds:
                feed.status(record)

    def _statuses(self) -> list[SourceStatus]:
        return [lane.run.status() for lane in self._lanes if lane.run]

    def _end(self) -> None:
        """Let all threads end, and leave those that do not."""
        if self.stop.is_set:
            self._wait(_DRAIN_SECONDS)
            self._hurry()
            self._wait(_HURRY_SECONDS)
            self._wait_for_files()
            self._leave()
        if not self._inference.close(_HURRY_SECONDS if self.stop.is_set else _TICK_SECONDS):
            self._news.note("The model does not answer, and is left to itself.")

    def _wait(self, seconds: float) -> None:
        until = self._clock.now() + seconds
        for lane in self._lanes:
            lane.join(until - self._clock.now())

    def _hurry(self) -> None:
        """Drop what waits, and close sources that may be waiting for a frame."""
        for lane in self._lanes:
            if lane.is_alive and lane.run:
                lane.run.hurry()
                if lane.run.is_reading:  # closing may wait for the read that hangs
                    threading.Thread(target=lane.run.source.close, daemon=True).start()

    def _wait_for_files(self) -> None:
        """However long they take to be closed; someone who cannot wait asks to stop again."""
        for lane in self._lanes:
            while lane.is_alive and lane.run and lane.run.is_closing:
                lane.join(_TICK_SECONDS)
                self._news.deliver(self._watcher)

    def _leave(self) -> None:
        for lane in self._lanes:
            if not lane.is_alive:
                continue
            name = lane.opening
            if lane.run and not lane.opening:
                name = lane.run.source.name if lane.run.is_reading else None
                lane.run.give_up()
                lane.run.wind_up(_LEAVE_SECONDS)
            if name:
                self._news.note(f"{name} did not answer when asked to end, and is left alone.")

    def _close(self) -> None:
        """Write down what waits, close the sinks, and say what is there."""
        report, outputs = self.report, self._outputs
        report.sources = [done for lane in self._lanes for done in lane.reports()]
        whole = all(lane.is_whole for lane in self._lanes)
        report.stopped = any(done.stopped for done in report.sources) or not whole
        written = self._records.close(_HURRY_SECONDS if self.stop.is_set else None)
        complete = whole and all(done.complete for done in report.sources)
        complete &= self.stop.error is None  # only now: the last record may have failed
        if written:
            report.jsonl = self._close_sink(outputs.records, complete)
            seen = complete and report.frames > 0
            report.events_table = self._close_sink(outputs.events, seen)
        closing: list[Callable[[], Any]] = [feed.close for feed in outputs.feeds]
        if outputs.window:
            closing.append(outputs.window.close)
        for close in closing:
            self._try(close)
        report.videos, report.clips = self._files.videos, self._files.clips
        report.kept = self._files.kept
        for path in report.kept:
            self._news.note(f"What was written before the end is kept as {path}.")

    def _close_sink(self, sink: RecordSink | None, complete: bool) -> Path | None:
        path = self._try(lambda: sink.close(complete)) if sink else None
        if path and not complete:
            self._files.add([], path, complete)
        return path

    def _try(self, close: Callable[[], Any]) -> Any:
        try:
            return close()
        except BaseException as error:
            self.stop.fail(error)
            return None

    def _status_record(self, now: float, statuses: Sequence[SourceStatus]) -> dict[str, Any]:
        card = self._session.card
        return {
            "uptime_s": round(now - self._started, 3),
            "model": {
                "name": card.family,
                "variant": card.variant,
                "labels": list(card.labels),
                "fps": card.fps,
                "window": card.num_frames,
                "provider": self._session.provider_report,
            },
            "sources": [status.to_record() for status in statuses],
        }
