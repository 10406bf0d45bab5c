"""What is known right now, and what of it a viewer has not been told yet.

There is no queue for each viewer. The board holds the newest of everything, numbered as it
changes, and a viewer asks for what is newer than its last number. One that is slow or gone costs
nothing and misses what was replaced meanwhile.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Any, TypeAlias

from effvit_edge.core.clock import Clock

_KEPT_EVENTS = 300
_KEPT_SOURCES = 256

Entries: TypeAlias = "OrderedDict[Hashable, tuple[int, Mapping[str, Any]]]"
"""What changed, with the number of its change, the newest last."""


class Board:
    """The newest label of each source, the newest events, the newest status.

    Args:
        clock: for the age of the status.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._number = 0
        self._labels: Entries = OrderedDict()
        self._events: Entries = OrderedDict()
        self._status: tuple[int, Mapping[str, Any]] | None = None
        self._status_at = 0.0
        self._closed = False
        self.run = secrets.token_hex(8)
        """Tells viewers that come back whether it is still the same run."""

    def put_label(self, record: Mapping[str, Any]) -> None:
        """Replace the label of the record's source."""
        self._put(self._labels, record["source"], record, _KEPT_SOURCES)

    def put_event(self, event: Mapping[str, Any]) -> None:
        """Add an event, or replace it by its later state."""
        self._put(self._events, (event["source"], event["id"]), event, _KEPT_EVENTS)

    def put_status(self, status: Mapping[str, Any]) -> None:
        """Replace the status."""
        with self._changed:
            self._number += 1
            self._status = (self._number, status)
            self._status_at = self._clock.now()
            self._changed.notify_all()

    def changes(self, since: int, timeout_seconds: float) -> tuple[int, dict[str, Any]] | None:
        """What changed after a number, once there is something.

        Args:
            since: the number that the last call returned, 0 for everything.
            timeout_seconds: how long to wait for a change.

        Returns:
            The number to go on from, and ``{"run", "labels": {source: record}, "events": […],
            "status": {…} | None}`` with what is new; None where nothing came, or it is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._number > since, timeout_seconds)
            if self._closed or self._number <= since:
                return None
            return self._number, self._newer(since)

    def snapshot(self) -> dict[str, Any]:
        """Everything, in the form of ``changes``."""
        with self._changed:
            return self._newer(0)

    def knows(self, source: str) -> bool:
        """Whether there is such a source."""
        with self._changed:
            listed = self._status[1]["sources"] if self._status else []
            return source in self._labels or any(one["source"] == source for one in listed)

    def status_age(self) -> float | None:
        """Seconds since the last status; None before the first."""
        with self._changed:
            return None if self._status is None else self._clock.now() - self._status_at

    def close(self) -> None:
        """Let everyone who waits go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _put(self, into: Entries, key: Hashable, value: Mapping[str, Any], kept: int) -> None:
        with self._changed:
            self._number += 1
            into[key] = (self._number, value)
            into.move_to_end(key)
            if len(into) > kept:
                into.popitem(last=False)
            self._changed.notify_all()

    def _newer(self, since: int) -> dict[str, Any]:
        status = self._status
        return {
            "run": self.run,
            "labels": {record["source"]: record for record in _after(self._labels, since)},
            "events": _after(self._events, since),
            "status": status[1] if status and status[0] > since else None,
        }


def _after(entries: Entries, since: int) -> list[Mapping[str, Any]]:
    """Oldest first; a walk from the new end, which is short when little is new."""
    found = []
    for number, value in reversed(entries.values()):
        if number <= since:
            break
        found.append(value)
    return found[::-1]
