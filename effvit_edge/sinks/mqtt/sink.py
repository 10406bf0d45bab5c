"""Publishes labels, events and health to an MQTT broker: see ``docs/web.md`` for the topics."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.sinks.base import Image
from effvit_edge.sinks.mqtt.broker import parse_broker
from effvit_edge.sinks.mqtt.connection import Connection
from effvit_edge.sinks.mqtt.outbox import Outbox, Pace

_log = logging.getLogger(__name__)

_LABELS = Pace(seconds=1.0, change_seconds=0.1)
_STATUSES = Pace(seconds=10.0, change_seconds=0.5)
_WAITING_EVENTS = 1000
_FIRST_ANSWER_SECONDS = 3.0


class MqttSink:
    """Publishes in a thread of its own, and connects again by itself; a ``FeedSink``.

    A broker that cannot be reached is tried again while labelling goes on: what changes meanwhile
    is replaced by what is newer, and events wait, as many as there is room for.

    Args:
        url: ``mqtt[s]://[USER[:PASSWORD]@]HOST[:PORT][/PREFIX]``.
        tell: called with a sentence when the broker is lost or found again, from the sink's
            thread; nothing in it is secret. By default it is a warning of the log.
        labels: how often a source's label goes out.
        statuses: how often a source's status does.
        waiting_events: how many events may wait for the broker.
        patience_seconds: how long to wait here for the broker's first answer.
        clock: for the rates.

    Raises:
        InputError: the URL is none.
        EnvironmentFault: paho-mqtt is not installed, or the broker refuses the user.
    """

    def __init__(
        self,
        url: str,
        tell: Callable[[str], None] | None = None,
        *,
        labels: Pace = _LABELS,
        statuses: Pace = _STATUSES,
        waiting_events: int = _WAITING_EVENTS,
        patience_seconds: float = _FIRST_ANSWER_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        broker = parse_broker(url)
        self._outbox = Outbox(labels, statuses, waiting_events)
        self._connection = Connection(
            broker, self._outbox, clock or MonotonicClock(), tell or _log.warning
        )
        refusal = self._connection.start(patience_seconds)
        if refusal is not None:
            self._connection.close()
            raise EnvironmentFault(refusal)

    @property
    def dropped_events(self) -> int:
        """How many events were given up, too many having waited for the broker."""
        return self._outbox.dropped_events

    def label(self, record: Mapping[str, Any]) -> None:
        """See ``FeedSink.label``."""
        self._outbox.put_label(record)
        self._connection.wake()

    def event(self, event: Mapping[str, Any]) -> None:
        """See ``FeedSink.event``."""
        self._outbox.put_event(event)
        self._connection.wake()

    def wants_picture(self, source: str) -> bool:
        """Never: pictures are not for a broker."""
        return False

    def picture(self, source: str, image: Image, pts_seconds: float) -> None:
        """Forgotten; see ``wants_picture``."""

    def status(self, status: Mapping[str, Any]) -> None:
        """See ``FeedSink.status``."""
        self._outbox.put_status(status)
        self._connection.wake()

    def close(self) -> None:
        """Send the events that wait, say ``offline``, and leave; at most about a second."""
        self._connection.close()
