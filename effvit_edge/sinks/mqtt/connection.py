"""The connection to a broker: one thread that connects, publishes, and connects again.

paho's own thread is not used. Driven from here, its queue never holds more than one unsent message
and a few unacknowledged ones, whatever the broker does, and a connection that hangs can be left.
"""

from __future__ import annotations

import contextlib
import secrets
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

from effvit_edge.core.clock import Clock
from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.core.optional import install_line, require
from effvit_edge.sinks.mqtt.broker import Broker
from effvit_edge.sinks.mqtt.outbox import AT_LEAST_ONCE, Message, Outbox

ONLINE, OFFLINE = b"online", b"offline"
_KEEPALIVE_SECONDS = 15
_CONNECT_SECONDS = 5.0
_FIRST_DELAY_SECONDS, _LONGEST_DELAY_SECONDS = 0.5, 30.0
_IDLE_SECONDS = 1.0
_FLUSH_SECONDS = 0.5
_JOIN_SECONDS = 0.8
_UNACKNOWLEDGED = 20
_REFUSED_FOR_GOOD = ("Bad user name or password", "Not authorized")


class Connection:
    """Publishes what an outbox holds.

    Args:
        broker: where.
        outbox: what; emptied here only.
        clock: for the outbox's rates.
        tell: is told when the broker is lost or found again.

    Raises:
        EnvironmentFault: paho-mqtt is not installed, or too old.
    """

    def __init__(
        self, broker: Broker, outbox: Outbox, clock: Clock, tell: Callable[[str], None]
    ) -> None:
        self._broker, self._outbox, self._clock, self._tell = broker, outbox, clock, tell
        self._state_topic = f"{broker.prefix}/status"
        self._client = self._make_client()
        self._refused: str | None = None
        self._unacknowledged: list[Any] = []
        self._closing, self._answered = threading.Event(), threading.Event()
        self._is_lost = False
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    def start(self, patience_seconds: float) -> str | None:
        """Begin, and wait a little for the broker's answer.

        Returns:
            Why the broker will not have us, in a sentence; None where it will, or is not there.
        """
        self._thread.start()
        self._answered.wait(patience_seconds)
        if self._refused in _REFUSED_FOR_GOOD:
            return (
                f"The MQTT broker {self._broker} refuses the user or the password. Give the right "
                "ones: --mqtt mqtt://USER:PASSWORD@HOST."
            )
        return None

    def wake(self) -> None:
        """There is something new to publish."""
        with contextlib.suppress(OSError):  # full: it will wake; closed: there is nobody to
            self._wake_in.send(b"\0")

    def close(self) -> None:
        """Publish what waits, and leave; a broker that hangs is left alone after a second."""
        self._closing.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join(_JOIN_SECONDS)
        if not self._thread.is_alive():
            self._wake_in.close()
            self._wake_out.close()

    def _make_client(self) -> Any:
        mqtt = require("paho.mqtt.client", "mqtt")
        if not hasattr(mqtt, "CallbackAPIVersion"):
            raise EnvironmentFault(
                "This needs paho-mqtt 2 or newer, and an older one is installed. Install it: in "
                f"the checkout, {install_line('mqtt')}."
            )
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=f"effvit-edge-{secrets.token_hex(6)}"
        )
        client.connect_timeout = _CONNECT_SECONDS
        client.max_inflight_messages_set(_UNACKNOWLEDGED)
        if self._broker.user is not None:
            client.username_pw_set(self._broker.user, self._broker.password)
        if self._broker.tls:
            client.tls_set()
        client.will_set(self._state_topic, OFFLINE, qos=AT_LEAST_ONCE, retain=True)
        client.on_connect = self._on_connect
        return client

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._refused = str(reason) if reason.is_failure else None
        self._answered.set()

    def _run(self) -> None:
        delay = _FIRST_DELAY_SECONDS
        while not self._closing.is_set():
            problem = self._connect()
            if problem is None:
                delay = _FIRST_DELAY_SECONDS
                self._greet()
                problem = self._publish_until_lost()
            self._hang_up()
            if problem is not None:
                self._say_lost(problem)
                self._closing.wait(delay)
                delay = min(2 * delay, _LONGEST_DELAY_SECONDS)

    def _connect(self) -> str | None:
        """Connect, and wait for the broker's answer; what went wrong, None where nothing did."""
        problem = self._call()
        if problem is not None:
            self._answered.set()
            return problem
        while not self._client.is_connected() and not self._closing.is_set():
            if not self._exchange(_IDLE_SECONDS):
                self._answered.set()
                return self._refused or "no answer"
            if self._refused:
                return self._refused
        return None

    def _call(self) -> str | None:
        """Open the connection; what went wrong, None where nothing did."""
        self._refused = None
        try:
            self._client.connect(self._broker.host, self._broker.port, _KEEPALIVE_SECONDS)
        except (OSError, ValueError) as error:  # ValueError: a name that cannot be looked up
            return str(getattr(error, "strerror", None) or error)
        return None

    def _greet(self) -> None:
        self._client.publish(self._state_topic, ONLINE, qos=AT_LEAST_ONCE, retain=True)
        self._outbox.renew()
        if self._is_lost:
            self._is_lost = False
            self._tell(f"The MQTT broker {self._broker} is there again.")

    def _publish_until_lost(self) -> str | None:
        """What went wrong; None where it is to end."""
        while not self._closing.is_set():
            wait_seconds = self._publish_due()
            if not self._exchange(wait_seconds):
                return "the connection was lost"
        self._say_goodbye()
        return None

    def _publish_due(self) -> float:
        """Publish what is due while the connection takes it; seconds until more is due."""
        while self._has_room():
            message = self._outbox.take(self._clock.now())
            if message is None:
                until = self._outbox.next_due() - self._clock.now()
                return min(max(until, 0.0), _IDLE_SECONDS)
            self._publish(message)
        return _IDLE_SECONDS

    def _has_room(self) -> bool:
        self._unacknowledged = [one for one in self._unacknowledged if not one.is_published()]
        return len(self._unacknowledged) < _UNACKNOWLEDGED and not self._client.want_write()

    def _publish(self, message: Message) -> None:
        topic = f"{self._broker.prefix}/{message.topic}"
        info = self._client.publish(topic, message.payload, message.qos, message.retain)
        if message.qos:
            self._unacknowledged.append(info)

    def _exchange(self, timeout_seconds: float) -> bool:
        """Send and receive what there is, or wait for it; whether the connection still stands."""
        client = self._client
        ours = client.socket()
        if ours is None:
            return False
        poll = select.poll()
        poll.register(self._wake_out, select.POLLIN)
        poll.register(ours, select.POLLIN | (select.POLLOUT if client.want_write() else 0))
        poll.poll(timeout_seconds * 1000)
        with contextlib.suppress(BlockingIOError):
            self._wake_out.recv(4096)
        # Both whether or not it was that: neither waits, and TLS may hold what no poll sees.
        client.loop_read()
        if client.want_write():
            client.loop_write()
        client.loop_misc()
        return client.socket() is not None

    def _say_goodbye(self) -> None:
        """Send the events that wait, and that nobody is here any more."""
        last = self._clock.now() + _FLUSH_SECONDS
        said = None
        while self._clock.now() < last:
            self._publish_due()
            if said is None and len(self._outbox) == 0:
                said = self._client.publish(
                    self._state_topic, OFFLINE, qos=AT_LEAST_ONCE, retain=True
                )
            if not self._exchange(0.05) or (said is not None and said.is_published()):
                break
        if said is not None and said.is_published():
            self._client.disconnect()  # otherwise the broker says it, by the last will
            self._exchange(0.0)

    def _hang_up(self) -> None:
        ours = self._client.socket()
        if ours is not None:
            with contextlib.suppress(OSError):
                ours.shutdown(socket.SHUT_RDWR)
            self._client.loop_read()

    def _say_lost(self, problem: str) -> None:
        if not self._is_lost and not self._closing.is_set():
            self._is_lost = True
            self._tell(
                f"The MQTT broker {self._broker} cannot be reached ({problem}); labelling goes "
                "on, and it is tried again."
            )
