"""What is still to be published: bounded, the newest first to stay, at rates a broker can take."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from effvit_edge.sinks.mqtt.broker import topic_level

_KEPT_SOURCES = 256
AT_MOST_ONCE, AT_LEAST_ONCE = 0, 1


@dataclass(frozen=True)
class Message:
    """Something to publish."""

    topic: str
    """Below the prefix."""
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True)
class Pace:
    """How often the newest of something goes out."""

    seconds: float
    """From one to the next while nothing important changes."""
    change_seconds: float
    """From one to the next where something does."""


@dataclass
class _Slot:
    newest: Mapping[str, Any]
    is_waiting: bool = True
    sent_key: Hashable = None
    sent_at: float = float("-inf")


class NewestOnly:
    """The newest of each source, given out at a pace. Not for several threads.

    Args:
        pace: of each source.
        key: what of a value is important enough to go out early when it changes.
    """

    def __init__(self, pace: Pace, key: Callable[[Mapping[str, Any]], Hashable]) -> None:
        self._pace = pace
        self._key = key
        self._slots: OrderedDict[str, _Slot] = OrderedDict()

    def put(self, value: Mapping[str, Any]) -> None:
        """Replace the newest of the value's source."""
        slot = self._slots.get(value["source"])
        if slot is None:
            self._slots[value["source"]] = _Slot(value)
        else:
            slot.newest, slot.is_waiting = value, True
        self._slots.move_to_end(value["source"])
        if len(self._slots) > _KEPT_SOURCES:
            self._slots.popitem(last=False)

    def take(self, now: float) -> Mapping[str, Any] | None:
        """One that is due; None where none is."""
        slot = min(self._slots.values(), key=self._due, default=None)
        if slot is None or self._due(slot) > now:
            return None
        slot.is_waiting, slot.sent_at, slot.sent_key = False, now, self._key(slot.newest)
        return slot.newest

    def next_due(self) -> float:
        """When ``take`` will have one, in seconds on its clock; infinite where nothing waits."""
        return min((self._due(slot) for slot in self._slots.values()), default=float("inf"))

    def renew(self) -> None:
        """Give the newest of each source out once more, now."""
        for slot in self._slots.values():
            slot.is_waiting, slot.sent_at = True, float("-inf")

    def _due(self, slot: _Slot) -> float:
        if not slot.is_waiting:
            return float("inf")
        changed = self._key(slot.newest) != slot.sent_key
        return slot.sent_at + (self._pace.change_seconds if changed else self._pace.seconds)


class Outbox:
    """Filled from any thread without waiting, emptied by one.

    Args:
        labels: the pace of labels.
        statuses: the pace of the sources' status.
        events: how many may wait; beyond, the oldest are dropped.
    """

    def __init__(self, labels: Pace, statuses: Pace, events: int) -> None:
        self._lock = threading.Lock()
        self._labels = NewestOnly(labels, _label_key)
        self._statuses = NewestOnly(statuses, _status_key)
        self._events: deque[Mapping[str, Any]] = deque(maxlen=events)
        self._dropped_events = 0

    @property
    def dropped_events(self) -> int:
        """How many events were dropped, too many having waited."""
        with self._lock:
            return self._dropped_events

    def __len__(self) -> int:
        """How many events wait."""
        with self._lock:
            return len(self._events)

    def put_label(self, record: Mapping[str, Any]) -> None:
        """Replace the label of the record's source."""
        with self._lock:
            self._labels.put(record)

    def put_event(self, event: Mapping[str, Any]) -> None:
        """Add an event."""
        with self._lock:
            self._dropped_events += len(self._events) == self._events.maxlen
            self._events.append(event)

    def put_status(self, status: Mapping[str, Any]) -> None:
        """Replace the status of each source listed."""
        with self._lock:
            for one in status["sources"]:
                self._statuses.put(one)

    def take(self, now: float) -> Message | None:
        """The next message to send, at a time in seconds; None where none is due."""
        with self._lock:
            if self._events:
                return _message(self._events.popleft(), "event", AT_LEAST_ONCE, retain=False)
            status = self._statuses.take(now)
            if status is not None:
                return _message(status, "status", AT_LEAST_ONCE, retain=True)
            label = self._labels.take(now)
            if label is not None:
                return _message(label, "label", AT_MOST_ONCE, retain=False)
            return None

    def next_due(self) -> float:
        """When ``take`` will have something, in seconds on its clock."""
        with self._lock:
            if self._events:
                return float("-inf")
            return min(self._labels.next_due(), self._statuses.next_due())

    def renew(self) -> None:
        """Send the status of every source again: a broker that was started anew has none."""
        with self._lock:
            self._statuses.renew()


def _message(value: Mapping[str, Any], kind: str, qos: int, retain: bool) -> Message:
    payload = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    return Message(f"{topic_level(value['source'])}/{kind}", payload, qos, retain)


def _label_key(record: Mapping[str, Any]) -> Hashable:
    event = record.get("event")
    return record["label"], event["label"] if event else None


def _status_key(status: Mapping[str, Any]) -> Hashable:
    return status.get("state"), status.get("last_error"), status.get("warming_up")
