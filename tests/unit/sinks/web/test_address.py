from __future__ import annotations

import socket

import pytest

from effvit_edge.core.errors import EnvironmentFault, InputError
from effvit_edge.sinks.web import WebSink
from effvit_edge.sinks.web.address import Address, is_loopback, parse_address, resolve, url_of


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("8080", "127.0.0.1", 8080),
        ("0.0.0.0:80", "0.0.0.0", 80),
        ("[::1]:8080", "::1", 8080),
        ("camera.local:65535", "camera.local", 65535),
        (" 0 ", "127.0.0.1", 0),
    ],
)
def test_a_port_alone_means_this_machine_alone(text: str, host: str, port: int) -> None:
    assert parse_address(text) == Address(host, port)


@pytest.mark.parametrize(
    "text", ["", ":", "host", "host:", ":8080", "65536", "-1", "8o80", "::1:8080", "[::1]", "٣٣"]
)
def test_what_is_no_address_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InputError, match=r"0\.0\.0\.0:8080"):
        parse_address(text)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("localhost", True), ("0.0.0.0", False)],
)
def test_only_this_machine_reaches_loopback(host: str, loopback: bool) -> None:
    _, numeric = resolve(Address(host, 0))
    assert is_loopback(numeric) is loopback


def test_an_address_of_ipv6_is_loopback_too() -> None:
    assert is_loopback(Address("::1", 80))
    assert not is_loopback(Address("::", 80))


def test_the_url_names_a_host_that_others_can_reach() -> None:
    assert url_of(Address("::1", 8080)) == "http://[::1]:8080/"
    assert url_of(Address("10.0.0.2", 80)) == "http://10.0.0.2:80/"
    assert "0.0.0.0" not in url_of(Address("0.0.0.0", 8080))


def test_a_port_in_use_is_told_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EnvironmentFault, match=f"127.0.0.1:{port}: another program") as caught:
            WebSink(str(port))
    assert "another port" in str(caught.value)


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(InputError, match="no such address"):
        WebSink("203.0.113.7:8080")  # kept for documentation: nobody's


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(InputError, match="not known here"):
        WebSink("no-such-host.invalid:8080")
