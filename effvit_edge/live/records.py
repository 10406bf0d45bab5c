"""The one thread that writes records and events down and tells the feeds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from effvit_edge.live.decision import Decision, Event
from effvit_edge.live.mailbox import Mailbox
from effvit_edge.live.stop import Stop
from effvit_edge.sinks import FeedSink, RecordSink

_CAPACITY = 256  # decisions that may wait for a slow disk or reader before labelling waits, too
Decided = Callable[[Decision], None]


class RecordWriter:
    """Writes in the order in which it is given; loses nothing, and waits where the sinks do.

    Args:
        stop: told when a sink fails; what comes after is let go, so that nobody waits for ever.
        records: takes the decisions.
        events: takes the events that have ended.
        feeds: are told of decisions, and of events that begin and end.
        decided: is called with each decision.
        with_event: whether a decision's record tells the event that goes on.
    """

    def __init__(
        self,
        stop: Stop,
        records: RecordSink | None,
        events: RecordSink | None,
        feeds: Sequence[FeedSink],
        decided: Decided | None,
        with_event: bool,
    ) -> None:
        self._stop = stop
        self._records = records
        self._events = events
        self._feeds = feeds
        self._decided = decided
        self._with_event = with_event
        self._mailbox: Mailbox[Decision | Event] = Mailbox(_CAPACITY)
        self._thread = threading.Thread(target=self._work, name="records", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, decision: Decision | None, events: Sequence[Event]) -> None:
        """Write these down, soon; an event that ended before the decision that ended it."""
        for event in events:
            self._mailbox.put(event)
        if decision:
            self._mailbox.put(decision)

    def close(self, seconds: float | None) -> bool:
        """Write what waits, and end; whether that took no longer than this."""
        self._mailbox.finish()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        failed = False
        while (item := self._mailbox.take()) is not None:
            if not failed:
                try:
                    self._write(item)
                except BaseException as error:
                    self._stop.fail(error)
                    failed = True
            self._mailbox.lost() if failed else self._mailbox.done()

    def _write(self, item: Decision | Event) -> None:
        if isinstance(item, Event):
            self._write_event(item)
            return
        record = item.to_record(self._with_event)
        if self._records:
            self._records.write(record)
        for feed in self._feeds:
            feed.label(record)
        if self._decided:
            self._decided(item)

    def _write_event(self, event: Event) -> None:
        record = event.to_record()
        if self._events and event.end_seconds is not None:
            self._events.write(record)
        for feed in self._feeds:
            feed.event(record)
