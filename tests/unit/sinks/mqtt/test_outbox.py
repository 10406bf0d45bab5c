from __future__ import annotations

import json
from typing import Any

import pytest

from effvit_edge.sinks.mqtt.outbox import Message, Outbox, Pace


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(labels=Pace(1.0, 0.1), statuses=Pace(10.0, 0.5), events=3)


def _record(label: str, frame: int = 0, source: str = "gate", **more: Any) -> dict[str, Any]:
    return {"source": source, "frame": frame, "label": label, **more}


def _status(state: str, source: str = "gate") -> dict[str, Any]:
    return {"sources": [{"source": source, "state": state}]}


def _content(message: Message | None) -> Any:
    assert message is not None
    return json.loads(message.payload)


def test_a_label_that_stays_goes_out_once_a_second_and_a_new_one_soon(outbox: Outbox) -> None:
    sent: list[tuple[float, str]] = []
    for frame in range(96):  # three seconds at 32 a second, whose times are exact
        now = frame / 32
        outbox.put_label(_record("left" if frame < 53 else "right", frame))
        message = outbox.take(now)
        if message is not None:
            sent.append((now * 32, _content(message)["label"]))
    assert sent == [(0, "left"), (32, "left"), (53, "right"), (85, "right")]


def test_labels_that_flicker_go_out_ten_times_a_second_at_most(outbox: Outbox) -> None:
    sent = 0
    for frame in range(300):
        outbox.put_label(_record(f"label {frame}", frame))
        sent += outbox.take(frame / 30) is not None
    assert 80 <= sent <= 101


def test_the_newest_label_goes_out_even_if_no_other_follows(outbox: Outbox) -> None:
    outbox.put_label(_record("left", 1))
    assert outbox.take(0.0) is not None
    outbox.put_label(_record("right", 2))
    outbox.put_label(_record("up", 3))
    assert outbox.take(0.05) is None
    assert outbox.next_due() == 0.1
    assert _content(outbox.take(0.1))["frame"] == 3
    assert outbox.take(100.0) is None
    assert outbox.next_due() == float("inf")


def test_an_event_that_begins_is_a_change_of_label(outbox: Outbox) -> None:
    outbox.put_label(_record("left", 1, event=None))
    outbox.take(0.0)
    outbox.put_label(_record("left", 2, event={"label": "left"}))
    assert _content(outbox.take(0.1))["frame"] == 2


def test_events_come_first_in_order_and_the_oldest_are_dropped(outbox: Outbox) -> None:
    outbox.put_label(_record("left"))
    for number in range(5):
        outbox.put_event({"id": number, "source": "a/b", "label": "x"})
    assert len(outbox) == 3
    assert outbox.dropped_events == 2
    messages = [outbox.take(0.0) for _ in range(4)]
    assert [_content(message).get("id") for message in messages] == [2, 3, 4, None]
    assert messages[0] == Message("a%2Fb/event", messages[0].payload, qos=1, retain=False)  # type: ignore[union-attr]
    assert messages[3] is not None
    assert (messages[3].topic, messages[3].qos, messages[3].retain) == ("gate/label", 0, False)


def test_a_status_stays_with_the_broker_and_goes_out_when_its_state_changes(
    outbox: Outbox,
) -> None:
    outbox.put_status(_status("playing"))
    first = outbox.take(0.0)
    assert first is not None
    assert (first.topic, first.qos, first.retain) == ("gate/status", 1, True)
    outbox.put_status(_status("playing"))
    assert outbox.take(9.9) is None
    outbox.put_status(_status("reconnecting"))
    assert _content(outbox.take(9.9))["state"] == "reconnecting"
    outbox.put_status(_status("reconnecting"))
    assert outbox.take(10.5) is None
    outbox.renew()
    assert _content(outbox.take(10.5))["state"] == "reconnecting"


def test_many_sources_do_not_pile_up(outbox: Outbox) -> None:
    for number in range(1000):
        outbox.put_label(_record("left", source=f"file {number}"))
    taken = 0
    while outbox.take(0.0) is not None:
        taken += 1
    assert taken == 256
