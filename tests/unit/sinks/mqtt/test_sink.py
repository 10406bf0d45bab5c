"""Against a real broker, killed and started again."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.sinks.mqtt import MqttSink, Pace
from tests.broker import Mosquitto, listening
from tests.needed import library, program

_ALWAYS = Pace(0.0, 0.0)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    library("paho.mqtt.client", "mqtt")
    one = Mosquitto(tmp_path)
    one.start()
    yield one
    one.kill()


class Told:
    """What a sink tells whoever runs it."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._changed = threading.Condition()

    def __call__(self, text: str) -> None:
        with self._changed:
            self.texts.append(text)
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.texts) >= count, 60), self.texts


def _until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()  # never set
    for _ in range(6000):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it never came to be")


def _record(label: str, source: str = "gate") -> dict[str, Any]:
    return {"source": source, "frame": 1, "label": label, "score": 0.9}


def _event(number: int, end: float | None = None) -> dict[str, Any]:
    return {"id": number, "source": "gate", "label": "x", "start_s": 1.0, "end_s": end}


def _status(state: str) -> dict[str, Any]:
    return {"uptime_s": 1, "model": {}, "sources": [{"source": "gate", "state": state}]}


def test_everything_arrives_under_its_topic(broker: Mosquitto) -> None:
    with listening(broker.port) as listener:
        sink = MqttSink(f"mqtt://127.0.0.1:{broker.port}/house/actions")
        assert listener.wait_for("house/actions/status", b"online")
        sink.label(_record("left"))
        sink.label(_record("left", "a/b"))
        sink.event(_event(0))
        sink.event(_event(0, end=2.0))
        sink.status(_status("playing"))
        assert json.loads(listener.wait_for("house/actions/gate/label")[0]) == _record("left")
        assert json.loads(listener.wait_for("house/actions/a%2Fb/label")[0])["source"] == "a/b"
        status, _ = listener.wait_for("house/actions/gate/status")
        assert json.loads(status) == {"source": "gate", "state": "playing"}
        sink.close()
        listener.wait_for("house/actions/status", b"offline")
        events = [json.loads(event) for event in listener.heard("house/actions/gate/event")]
        assert events == [_event(0), _event(0, end=2.0)]


def test_who_comes_later_hears_the_state_and_no_old_label_or_event(broker: Mosquitto) -> None:
    sink = MqttSink(f"mqtt://127.0.0.1:{broker.port}")
    with listening(broker.port) as first:
        sink.label(_record("left"))
        sink.event(_event(0))
        sink.status(_status("playing"))
        first.wait_for("effvit-edge/gate/label")
        first.wait_for("effvit-edge/gate/event")
        first.wait_for("effvit-edge/gate/status")
    with listening(broker.port) as later:
        assert later.wait_for("effvit-edge/status") == (b"online", True)
        assert later.wait_for("effvit-edge/gate/status")[1] is True
        sink.close()
        later.wait_for("effvit-edge/status", b"offline")
        assert later.heard("effvit-edge/gate/label") == []
        assert later.heard("effvit-edge/gate/event") == []


def test_the_broker_says_it_when_the_run_is_killed(broker: Mosquitto) -> None:
    script = (
        "import sys; from effvit_edge.sinks.mqtt import MqttSink; "
        "sink = MqttSink(sys.argv[1]); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, f"mqtt://127.0.0.1:{broker.port}"]
    with (
        listening(broker.port) as listener,
        subprocess.Popen(command, stdin=subprocess.PIPE) as run,
    ):
        listener.wait_for("effvit-edge/status", b"online")
        run.kill()
        assert listener.wait_for("effvit-edge/status", b"offline")[0] == b"offline"


def test_a_broker_that_is_killed_and_comes_back_gets_every_event(tmp_path: Path) -> None:
    library("paho.mqtt.client", "mqtt")
    broker, told = Mosquitto(tmp_path, keeps=True), Told()
    broker.start()
    sink = MqttSink(f"mqtt://127.0.0.1:{broker.port}", told)
    try:
        with listening(broker.port, session="listener") as listener:
            sink.event(_event(0))
            listener.wait_for("effvit-edge/gate/event")
        _until(lambda: broker.has_saved)  # who listens: what is sent next is kept for them
        broker.kill()
        told.wait_for(1)
        for number in range(1, 101):
            sink.event(_event(number))
            sink.label(_record(f"label {number}"))
        broker.start()
        told.wait_for(2)
        with listening(broker.port, session="listener") as listener:
            listener.wait_for(
                "effvit-edge/gate/event", json.dumps(_event(100)).replace(" ", "").encode()
            )
            heard = [json.loads(one)["id"] for one in listener.heard("effvit-edge/gate/event")]
        assert sorted(set(heard) - {0}) == list(range(1, 101))
        assert sink.dropped_events == 0
        assert "cannot be reached" in told.texts[0]
        assert "labelling goes on" in told.texts[0]
        assert "is there again" in told.texts[1]
    finally:
        sink.close()
        broker.kill()


def test_a_broker_that_forgot_everything_is_told_the_state_again(broker: Mosquitto) -> None:
    told = Told()
    sink = MqttSink(f"mqtt://127.0.0.1:{broker.port}", told)
    sink.status(_status("playing"))
    with listening(broker.port) as listener:
        listener.wait_for("effvit-edge/gate/status")
    broker.kill()
    told.wait_for(1)
    broker.start()
    told.wait_for(2)
    with listening(broker.port) as listener:
        assert listener.wait_for("effvit-edge/status", b"online") == (b"online", True)
        payload, retained = listener.wait_for("effvit-edge/gate/status")
        assert retained and json.loads(payload)["state"] == "playing"
    sink.close()


def test_a_broker_that_hangs_holds_nothing_up(broker: Mosquitto) -> None:
    sink = MqttSink(f"mqtt://127.0.0.1:{broker.port}", labels=_ALWAYS, waiting_events=50)
    with listening(broker.port) as listener:
        listener.wait_for("effvit-edge/status", b"online")
    broker.hang()
    threads = threading.active_count()
    for number in range(20_000):
        sink.label({**_record(f"label {number}"), "padding": "x" * 1000})
        sink.event(_event(number))
    outbox, client = sink._outbox, sink._connection._client
    assert threading.active_count() == threads
    assert len(outbox) == 50
    # All the others: given to the library, which holds a few, or dropped and counted.
    assert len(client._out_messages) <= 21
    assert len(client._out_packet) <= 1
    assert 20_000 - 50 - 21 <= sink.dropped_events <= 20_000 - 50
    sink.close()
    _until(lambda: all(thread.name != "mqtt" for thread in threading.enumerate()))


def test_a_broker_that_is_not_there_is_no_reason_to_stop() -> None:
    library("paho.mqtt.client", "mqtt")
    told = Told()
    sink = MqttSink("mqtt://user:secret@127.0.0.1:1/x", told)
    told.wait_for(1)
    sink.label(_record("left"))
    sink.close()
    sink.close()
    assert told.texts == [
        "The MQTT broker mqtt://127.0.0.1:1 cannot be reached (Connection refused); labelling "
        "goes on, and it is tried again."
    ]
    assert all(thread.name != "mqtt" for thread in threading.enumerate())


def test_user_and_password_are_used_and_a_wrong_one_is_refused_at_once(tmp_path: Path) -> None:
    library("paho.mqtt.client", "mqtt")
    passwords = tmp_path / "passwords"
    command = [program("mosquitto_passwd", package="mosquitto"), "-b", "-c", str(passwords)]
    subprocess.run([*command, "me", "p@ss/word"], check=True)
    broker = Mosquitto(tmp_path, ["allow_anonymous false", f"password_file {passwords}"])
    broker.start()
    try:
        host = f"127.0.0.1:{broker.port}"
        sink = MqttSink(f"mqtt://me:p%40ss%2Fword@{host}")
        with listening(broker.port, username="me", password="p@ss/word") as listener:
            listener.wait_for("effvit-edge/status", b"online")
        sink.close()
        for wrong in (f"mqtt://me:hidden@{host}", f"mqtt://{host}"):
            with pytest.raises(EnvironmentFault, match="refuses the user") as caught:
                MqttSink(wrong)
            assert "hidden" not in str(caught.value)
    finally:
        broker.kill()


# The library leaves a socket whose handshake failed to the garbage collection.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket")
def test_tls_is_used_with_the_systems_authorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library("paho.mqtt.client", "mqtt")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            program("openssl", package="openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate,
            "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    files = [f"keyfile {key}", f"certfile {certificate}", "allow_anonymous true"]
    broker = Mosquitto(tmp_path, files)
    broker.start()
    url, told = f"mqtts://127.0.0.1:{broker.port}", Told()
    try:
        MqttSink(url, told).close()
        assert "certificate verify failed" in told.texts[0]
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        trusting = Told()
        sink = MqttSink(url, trusting)
        sink.event(_event(0))
        _until(lambda: len(sink._outbox) == 0)
        sink.close()
        assert trusting.texts == []
    finally:
        broker.kill()


def test_pictures_are_not_wanted(broker: Mosquitto) -> None:
    sink = MqttSink(f"mqtt://127.0.0.1:{broker.port}")
    assert not sink.wants_picture("gate")
    sink.close()


@pytest.mark.parametrize("library_there", [None, types.ModuleType("paho.mqtt.client")])
def test_without_the_library_the_install_line_is_told(
    monkeypatch: pytest.MonkeyPatch, library_there: types.ModuleType | None
) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", library_there)
    with pytest.raises(EnvironmentFault, match=r"pip install -e '\.\[mqtt\]'"):
        MqttSink("mqtt://127.0.0.1")
