"""Mosquitto on a free port of loopback, that can be killed and started again."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.needed import library, program

_PATIENCE_LOOKS = 6000


class Mosquitto:
    """A broker.

    Args:
        folder: for its configuration, its log and what it keeps.
        settings: more lines of its configuration.
        keeps: whether it has its sessions and retained messages again after a restart.
    """

    def __init__(
        self,
        folder: Path,
        settings: Sequence[str] = ("allow_anonymous true",),
        keeps: bool = False,
    ) -> None:
        self._program = program("mosquitto", package="mosquitto")
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        # As root it would become another user, who may not read the test's folder.
        lines = ["user root", f"persistence {'true' if keeps else 'false'}"]
        if keeps:
            lines += [f"persistence_location {folder}/", "autosave_on_changes true"]
            lines += ["autosave_interval 1"]
        lines += [f"listener {self.port} 127.0.0.1", *settings]
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = [self._program, "-c", str(self._folder / "mosquitto.conf")]
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        pause = threading.Event()
        for _ in range(_PATIENCE_LOOKS):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, (self._folder / "mosquitto.log").read_text()
            pause.wait(0.01)
        raise AssertionError("mosquitto does not answer")

    def kill(self) -> None:
        """End at once, without a word to anyone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def has_saved(self) -> bool:
        """Whether it has written down what it keeps."""
        return (self._folder / "mosquitto.db").exists()

    def hang(self) -> None:
        """Do nothing from now on: connections stay, and nothing is read."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)


class Listener:
    """Subscribes to everything, and remembers it in order.

    Args:
        port: the broker's.
        session: a name under which the broker keeps messages while nobody listens.
        credentials: ``username`` and ``password``.
    """

    def __init__(self, port: int, session: str | None = None, **credentials: str) -> None:
        mqtt: Any = library("paho.mqtt.client", "mqtt")
        self._heard: list[tuple[str, bytes, bool]] = []
        self._changed = threading.Condition()
        self._client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=session or "", clean_session=not session
        )
        if credentials:
            self._client.username_pw_set(**credentials)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert subscribed.wait(60)

    def wait_for(self, topic: str, payload: bytes | None = None) -> tuple[bytes, bool]:
        """The first message of a topic, with a payload where one is given, and if it was kept."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._find(topic, payload) is not None, 60), (
                f"never heard {topic} {payload!r}, but {self._heard}"
            )
            found = self._find(topic, payload)
            assert found is not None
            return found

    def heard(self, topic: str) -> list[bytes]:
        """All messages of a topic so far."""
        with self._changed:
            return [payload for name, payload, _ in self._heard if name == topic]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _find(self, topic: str, payload: bytes | None) -> tuple[bytes, bool] | None:
        for name, content, retained in self._heard:
            if name == topic and payload in (None, content):
                return content, retained
        return None

    def _hear(self, client: Any, data: Any, message: Any) -> None:
        with self._changed:
            self._heard.append((message.topic, message.payload, message.retain))
            self._changed.notify_all()


@contextmanager
def listening(port: int, session: str | None = None, **credentials: str) -> Iterator[Listener]:
    """A listener, closed on leaving."""
    one = Listener(port, session, **credentials)
    try:
        yield one
    finally:
        one.close()
