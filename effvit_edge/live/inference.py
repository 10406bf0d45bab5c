"""The one thread that runs the model: sources take turns, each with a state of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from effvit_edge.live.decision import Decision, Event
from effvit_edge.live.events import EventTracker
from effvit_edge.live.intake import Prepared
from effvit_edge.live.labeller import Labeller
from effvit_edge.live.mailbox import Mailbox
from effvit_edge.live.stop import Stop

Answer: TypeAlias = Callable[[Decision | None, tuple[Event, ...]], None]
"""Takes what was decided about the next frame, if anything, and which events began or ended."""


@dataclass
class Channel:
    """One source, as the model sees it."""

    source: str
    mailbox: Mailbox[Prepared]
    labeller: Labeller
    tracker: EventTracker | None
    answer: Answer
    """Called once for each frame that was labelled, and once more at the end."""
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when no more will be answered."""


class Inference:
    """Labels what waits in the mailboxes of all channels, one frame of each in turn.

    Args:
        stop: told when the model fails.
        bell: rung by the mailboxes.
    """

    def __init__(self, stop: Stop, bell: threading.Event) -> None:
        self._stop = stop
        self._bell = bell
        self._lock = threading.Lock()
        self._channels: list[Channel] = []
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="inference", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def add(self, channel: Channel) -> None:
        """One more source takes its turns, until its mailbox is exhausted.

        A source that comes too late, because it hung until the run had ended, gets no turn.
        """
        with self._lock:
            if not self._closing:
                self._channels.append(channel)
                self._bell.set()
                return
        _turn_away(channel)

    def close(self, seconds: float) -> bool:
        """End when the channels have; whether it has ended within that time."""
        with self._lock:
            self._closing = True
        self._bell.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        try:
            while self._round():
                pass
        except BaseException as error:
            self._stop.fail(error)
        finally:
            with self._lock:
                self._closing = True
                left = list(self._channels)
            for channel in left:
                _turn_away(channel)

    def _round(self) -> bool:
        """One frame of each channel; whether there may be another round."""
        self._bell.clear()  # before looking, so that what comes while looking is not missed
        with self._lock:
            channels = list(self._channels)
            closing = self._closing
        if closing and not channels:
            return False
        worked = False
        for channel in channels:
            prepared = channel.mailbox.poll()
            if prepared is not None:
                self._label(channel, prepared)
                worked = True
            elif channel.mailbox.exhausted:
                self._finish(channel)
                worked = True
        if not worked:
            self._bell.wait()
        return True

    def _label(self, channel: Channel, prepared: Prepared) -> None:
        try:
            dropped = prepared.lost + channel.mailbox.ledger.dropped
            decision = channel.labeller.feed(prepared, channel.source, dropped)
            events: tuple[Event, ...] = ()
            if decision and channel.tracker:
                decision, events = channel.tracker.follow(decision)
        except BaseException:
            channel.mailbox.lost()
            raise
        channel.mailbox.done()
        channel.answer(decision, events)

    def _finish(self, channel: Channel) -> None:
        with self._lock:
            self._channels.remove(channel)
        if channel.tracker:
            channel.answer(None, channel.tracker.end())
        channel.ended.set()


def _turn_away(channel: Channel) -> None:
    """Nothing of that source is labelled any more."""
    channel.mailbox.abandon()
    channel.ended.set()
