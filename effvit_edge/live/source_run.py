"""One source on its way through the run: what reads it, judges it and draws it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from effvit_edge.core.clock import Clock
from effvit_edge.core.errors import EdgeError
from effvit_edge.live.decision import Decision, Event
from effvit_edge.live.events import EventRules, EventTracker
from effvit_edge.live.inference import Channel, Inference
from effvit_edge.live.intake import Intake, Prepared
from effvit_edge.live.labeller import Labeller
from effvit_edge.live.mailbox import Mailbox
from effvit_edge.live.overlay import Overlay
from effvit_edge.live.pictures import Pictures, PictureTaker, Shown
from effvit_edge.live.rate import RateWatch
from effvit_edge.live.records import RecordWriter
from effvit_edge.live.report import SourceReport
from effvit_edge.live.roi import Box, Roi
from effvit_edge.live.statistics import Statistics
from effvit_edge.live.status import SourceStatus
from effvit_edge.live.stop import Stop
from effvit_edge.runtime import Session
from effvit_edge.sources import End, Frame, Source

_WAITING_FRAMES = 4  # prepared ones of a file: enough that neither thread waits for the other
_NEWEST_FRAMES = 1  # of a live source: an older one would only be later
_READ_SECONDS = 0.1  # then a reader looks whether the run is to end
_RESTARTS = {
    "size": "changes its size at {:.2f} s, and is judged anew",
    "gap": "breaks off before {:.2f} s, and is judged anew",
}


@dataclass(frozen=True)
class LabelOptions:
    """How sources are labelled."""

    topk: int = 3
    """How many candidates a decision lists."""
    stride: int | None = None
    """Decide on every so many frames that the model sees; see ``Labeller``."""
    events: EventRules | None = None
    """When an action is there; None looks for events only where an output is told of them."""
    at_once: int = 4
    """How many finite lanes are labelled at the same time."""


@dataclass(frozen=True)
class Shared:
    """What the sources of one run have in common."""

    session: Session
    options: LabelOptions
    rules: EventRules | None
    next_event: Callable[[], int]
    inference: Inference
    bell: threading.Event
    records: RecordWriter
    stop: Stop
    clock: Clock
    note: Callable[[str], None]


class SourceRun:
    """Reads one source in the calling thread, while others label and draw it.

    Args:
        source: open; closing it is the caller's.
        shared: what it has in common with the others.
        takers: of its pictures.
        roi: the part of the pictures to look at.
    """

    def __init__(
        self, source: Source, shared: Shared, takers: Sequence[PictureTaker], roi: Roi | None
    ) -> None:
        self.source = source
        self._shared = shared
        self._takers = takers
        options, card, stop = shared.options, shared.session.card, shared.stop
        self._intake = Intake(card, roi, shared.clock)
        self._rate = RateWatch(card.fps)
        self._statistics = Statistics(shared.clock)
        self._report = SourceReport(source.name, source.is_live, losses=source.losses)
        self._started = shared.clock.now()
        self._box: Box | None = None
        self._last_pts = 0.0
        self._phase: Literal["reading", "draining", "closing", "over"] = "reading"
        self._mailbox: Mailbox[Prepared] = (
            Mailbox(_NEWEST_FRAMES, keep_newest=True, bell=shared.bell)
            if source.is_live
            else Mailbox(_WAITING_FRAMES, bell=shared.bell)
        )
        self._pictures: Pictures | None = None
        if takers:
            in_step = not source.is_live and any(taker.writes_files for taker in takers)
            overlay = Overlay(card.labels, options.topk, with_events=shared.rules is not None)
            self._pictures = Pictures(
                source.name, overlay, takers, in_step, stop, self._statistics.undrawn
            )
        tracker = None
        if shared.rules:
            tracker = EventTracker(shared.rules, card.labels, source.name, shared.next_event)
        self._channel = Channel(
            source.name,
            self._mailbox,
            Labeller(shared.session, options.topk, options.stride, shared.clock),
            tracker,
            self._answer,
        )
        shared.inference.add(self._channel)

    def read(self) -> None:
        """Read the source to its end, to its failure, or until the run is to end."""
        stop = self._shared.stop
        try:
            while not stop.is_set:
                outcome = self.source.read(_READ_SECONDS)
                if isinstance(outcome, Frame):
                    self._pass_on(outcome)
                elif isinstance(outcome, End):
                    break
            else:
                self._report.stopped = True
        except EdgeError as error:
            self._report.failure = error

    def wind_up(self, seconds: float | None = None) -> bool:
        """Label and draw what was read, and close the files; whether that took no longer.

        Args:
            seconds: None waits as long as it takes.
        """
        self._phase = "draining"
        self._mailbox.finish()
        in_time = self._channel.ended.wait(seconds)
        self._phase = "closing"
        if self._pictures:
            self._pictures.no_more_answers()
            complete = self.report().complete and self._shared.stop.error is None
            in_time &= self._pictures.close(complete, seconds)
        self._report.seconds = self._shared.clock.now() - self._started
        if in_time:
            self._phase = "over"
        return in_time

    def hurry(self) -> None:
        """The run is to end now: what has not been labelled and drawn yet is dropped."""
        self._report.stopped = True
        self._mailbox.abandon()
        if self._pictures:
            self._pictures.abandon()

    def give_up(self) -> None:
        """The source does not answer: the run ends without it."""
        self._report.hung = self._phase == "reading"

    @property
    def is_reading(self) -> bool:
        """Whether frames may still come."""
        return self._phase == "reading"

    @property
    def is_closing(self) -> bool:
        """Whether everything has been labelled, and only its pictures and files are left."""
        return self._phase == "closing"

    def say_goodbye(self) -> None:
        """Note what is known only at the end."""
        if self._report.frames:
            self._tell(self._rate.see(self._last_pts, at_end=True))
        if self._report.losses:
            self._tell(f"has {self._report.losses}")

    def report(self) -> SourceReport:
        """How it went so far."""
        pace = self._statistics.pace()
        report = self._report
        report.frames, report.decisions, report.last = pace.frames, pace.decisions, pace.last
        report.undrawn, report.ledger = pace.undrawn, self._mailbox.ledger
        report.health = self.source.health
        return report

    def status(self) -> SourceStatus:
        """How it is doing; from any thread."""
        return SourceStatus(
            self.source.name,
            self.source.is_live,
            self.source.expected_frames,
            self.source.health,
            self._statistics.pace(),
            self._mailbox.ledger,
            self.source.losses.frames,
            self._box,
            self._phase == "over",
        )

    def _pass_on(self, frame: Frame) -> None:
        """To the model if it is its turn, and to those who draw."""
        self._last_pts = frame.pts_seconds
        prepared = self._intake.take(frame, self.source.losses.frames)
        if self._intake.restart:
            self._tell(_RESTARTS[self._intake.restart].format(frame.pts_seconds))
        offered = prepared is not None and self._mailbox.put(prepared)
        if self._pictures and any(taker.wanted() for taker in self._takers):
            box = self._box = self._intake.box(*frame.image.shape[:2])
            self._pictures.put(Shown(frame.image, frame.pts_seconds, box, offered))
        elif prepared is not None and self._box is None:
            self._box = self._intake.box(*frame.image.shape[:2])
        self._statistics.frame()
        self._tell(self._rate.see(frame.pts_seconds))

    def _answer(self, decision: Decision | None, events: tuple[Event, ...]) -> None:
        """Called by the thread that runs the model."""
        if decision:
            self._statistics.decision(decision)
        self._report.events += sum(event.end_seconds is not None for event in events)
        self._shared.records.put(decision, events)
        if self._pictures:
            self._pictures.answer(decision, events)

    def _tell(self, text: str | None) -> None:
        if text:
            self._shared.note(f"{self.source.name} {text}.")
