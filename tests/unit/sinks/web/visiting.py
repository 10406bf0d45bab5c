"""Visits the page without a browser."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from effvit_edge.sinks.web import WebSink

PATIENCE = 60.0


def until(condition: Callable[[], bool]) -> None:
    """Look again and again until something is so."""
    pause = threading.Event()  # never set; lets the server's threads run
    for _ in range(30_000):
        if condition():
            return
        pause.wait(0.002)
    raise AssertionError("it never came to be")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(sink: WebSink, path: str, method: str = "GET", **headers: str) -> Answer:
    """One request, over a connection of its own."""
    visit = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=PATIENCE)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        visit.request(method, path, headers=named)
        answer = visit.getresponse()
        return Answer(answer.status, dict(answer.headers.items()), answer.read())
    finally:
        visit.close()


@contextmanager
def raw(sink: WebSink, receive_buffer: int | None = None) -> Iterator[socket.socket]:
    """A bare connection."""
    with socket.socket() as visit:
        if receive_buffer:
            visit.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        visit.settimeout(PATIENCE)
        visit.connect(("127.0.0.1", sink.port))
        yield visit


@contextmanager
def stream(sink: WebSink, path: str, receive_buffer: int | None = None) -> Iterator[IO[bytes]]:
    """Something that goes on; read past the headers."""
    with raw(sink, receive_buffer) as visit, visit.makefile("rb") as file:
        visit.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        status = file.readline()
        assert b" 200 " in status, status
        while file.readline().strip():
            pass
        yield file


def next_message(feed: IO[bytes]) -> Any:
    """The next message of ``/api/feed``."""
    while not (line := feed.readline()).startswith(b"data: "):
        assert line, "the feed has ended"
    return json.loads(line.removeprefix(b"data: "))


def next_jpeg(pictures: IO[bytes]) -> bytes:
    """The next picture of ``/picture.mjpg``."""
    assert pictures.readline().startswith(b"--picture")
    head = http.client.parse_headers(pictures)
    assert head["Content-Type"] == "image/jpeg"
    jpeg = pictures.read(int(head["Content-Length"]))
    assert pictures.readline() == b"\r\n"
    return jpeg
