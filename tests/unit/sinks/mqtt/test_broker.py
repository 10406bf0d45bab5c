from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effvit_edge.core.errors import InputError
from effvit_edge.sinks.mqtt.broker import Broker, parse_broker, topic_level


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("mqtt://host", Broker("host", 1883, "effvit-edge", tls=False)),
        ("mqtts://host/", Broker("host", 8883, "effvit-edge", tls=True)),
        ("mqtt://host:18/a/b/", Broker("host", 18, "a/b", tls=False)),
        ("mqtt://[::1]:18", Broker("::1", 18, "effvit-edge", tls=False)),
        ("mqtt://user@host", Broker("host", 1883, "effvit-edge", False, "user", None)),
        ("mqtt://u%40x:p%2F%3A@host/y", Broker("host", 1883, "y", False, "u@x", "p/:")),
    ],
)
def test_a_url_says_where_as_whom_and_under_what(url: str, broker: Broker) -> None:
    parsed = parse_broker(url)
    assert parsed == broker
    assert (parsed.user, parsed.password) == (broker.user, broker.password)


@pytest.mark.parametrize(
    "url",
    [
        "host",
        "http://host",
        "mqtt://",
        "mqtt://host:port",
        "mqtt://host:99999",
        "mqtt://host:0",
        "mqtt://user:secret@host?qos=1",
        "mqtt://user:sec#ret@host",
        "mqtt://user:secret@host/a+b",
        "mqtt://user:secret@host/$SYS",
        "mqtt://user:secret@[host/x",
    ],
)
def test_what_is_no_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_broker(url)
    assert "sec" not in str(caught.value).replace("sec" + "ond", "")
    assert "MQTT" in str(caught.value)


def test_the_password_is_not_shown() -> None:
    broker = parse_broker("mqtt://user:secret@host/x")
    assert "secret" not in f"{broker} {broker!r}"
    assert str(broker) == "mqtt://host:1883"
    assert str(parse_broker("mqtts://[::1]")) == "mqtts://[::1]:8883"


def test_plain_names_are_topics_as_they_are() -> None:
    for name in ("gate", "front door", "camera0", "tür"):
        assert topic_level(name) == name
    assert topic_level("rtsp://host/a") == "rtsp:%2F%2Fhost%2Fa"


@given(one=st.text(), other=st.text())
def test_names_stay_apart_and_within_their_level(one: str, other: str) -> None:
    assert not set(topic_level(one)) & set("/+#\0")
    assert (topic_level(one) == topic_level(other)) == (one == other)
