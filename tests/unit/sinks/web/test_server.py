from __future__ import annotations

import contextlib
import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import cv2
import numpy as np
import pytest

from effvit_edge.core.clock import FakeClock
from effvit_edge.sinks.base import FeedSink, Image
from effvit_edge.sinks.web import Limits, WebSink
from tests.unit.sinks.web.visiting import ask, next_jpeg, next_message, raw, stream, until

_STATUS = {"uptime_s": 1.0, "sources": [{"source": "yard/a b&c", "state": "playing"}]}
_NAME = "yard/a b&c"
_QUERY = "source=yard%2Fa%20b%26c"


@pytest.fixture
def make() -> Iterator[Callable[..., WebSink]]:
    """Makes sinks, and closes them."""
    with contextlib.ExitStack() as made:

        def build(address: str = "0", **options: Any) -> WebSink:
            sink = WebSink(address, **options)
            made.callback(sink.close)
            return sink

        yield build


@pytest.fixture
def sink(make: Callable[..., WebSink]) -> WebSink:
    sink = make()
    sink.status(_STATUS)
    return sink


def _noise(seed: int, height: int = 240, width: int = 320) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def _offer(sink: FeedSink, image: Image) -> None:
    """Give a picture as soon as one is wanted."""
    until(lambda: sink.wants_picture(_NAME))
    sink.picture(_NAME, image, 0.0)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href") and value]


def test_the_page_and_all_that_it_names_are_served_from_here(sink: WebSink) -> None:
    page = ask(sink, "/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    links = _Links()
    links.feed(page.body.decode())
    assert len(links.found) >= 4
    for path in links.found:
        answer = ask(sink, path)
        assert (answer.status, len(answer.body) > 0) == (200, True), path


def test_every_answer_says_how_it_may_be_used(sink: WebSink) -> None:
    for path in ("/", "/page.js", "/api/status", "/nowhere", "/healthz"):
        headers = ask(sink, path).headers
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert "Python" not in headers["Server"]


def test_head_is_get_without_the_body(sink: WebSink) -> None:
    full, head = ask(sink, "/page.css"), ask(sink, "/page.css", "HEAD")
    assert head.body == b""
    assert head.headers["Content-Length"] == str(len(full.body))
    assert ask(sink, "/api/feed", "HEAD").headers["Content-Type"] == "text/event-stream"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "X-ODD"])
def test_other_methods_are_refused(sink: WebSink, method: str) -> None:
    answer = ask(sink, "/", method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_a_request_with_a_body_is_refused(sink: WebSink) -> None:
    assert ask(sink, "/", Content_Length="3").status == 400
    assert ask(sink, "/", Transfer_Encoding="chunked").status == 400


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/sink.py",
        "//etc/passwd",
        "/page/index.html",
        "/index.html",
        "/sink.py",
        "/.",
        "http://localhost/etc/passwd",
    ],
)
def test_paths_lead_nowhere_else(sink: WebSink, path: str) -> None:
    assert ask(sink, path).status == 404


@pytest.mark.parametrize(
    "request_bytes",
    [b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.x\r\n\r\n", b"\0\xff\n", b"GET /\n"],
)
def test_nonsense_is_survived(sink: WebSink, request_bytes: bytes) -> None:
    with raw(sink) as visit:
        visit.sendall(request_bytes)
        visit.shutdown(socket.SHUT_WR)
        while visit.recv(4096):
            pass
    assert ask(sink, "/").status == 200


def test_the_status_is_what_was_fed(sink: WebSink) -> None:
    record = {"source": _NAME, "frame": 7, "label": "häuser", "score": 0.5}
    event = {"id": 1, "source": _NAME, "label": "x", "score": 1.0, "start_s": 1, "end_s": None}
    sink.label(record)
    sink.event(event)
    answer = ask(sink, "/api/status")
    assert answer.headers["Content-Type"] == "application/json"
    told = json.loads(answer.body)
    assert told["labels"] == {_NAME: record}
    assert told["events"] == [event]
    assert told["status"] == _STATUS


def test_the_feed_tells_all_and_then_what_is_new(sink: WebSink) -> None:
    sink.label({"source": _NAME, "frame": 1})
    with stream(sink, "/api/feed") as feed, stream(sink, "/api/feed") as other:
        first = next_message(feed)
        assert first == next_message(other)
        assert first["status"] == _STATUS
        sink.label({"source": _NAME, "frame": 2})
        for one in (feed, other):
            later = next_message(one)
            assert later["labels"] == {_NAME: {"source": _NAME, "frame": 2}}
            assert later["status"] is None


def test_moving_pictures_are_encoded_once_for_all_who_watch(sink: WebSink) -> None:
    path = f"/picture.mjpg?{_QUERY}"
    with stream(sink, path) as one, stream(sink, path) as two:
        for seed in range(5):
            image = _noise(seed)
            _offer(sink, image)
            jpeg = next_jpeg(one)
            assert jpeg == next_jpeg(two)
            bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert bgr is not None
            assert np.corrcoef(bgr[..., ::-1].ravel(), image.ravel())[0, 1] > 0.5


def test_a_still_is_a_jpeg_and_a_source_without_pictures_says_so(sink: WebSink) -> None:
    answers = []
    asking = threading.Thread(target=lambda: answers.append(ask(sink, f"/picture.jpg?{_QUERY}")))
    asking.start()
    _offer(sink, _noise(0))
    asking.join()
    assert answers[0].headers["Content-Type"] == "image/jpeg"
    assert answers[0].body.startswith(b"\xff\xd8")


def test_an_unknown_source_is_not_found(sink: WebSink) -> None:
    for kind in ("mjpg", "jpg"):
        assert ask(sink, f"/picture.{kind}?source=other").status == 404
        assert ask(sink, f"/picture.{kind}").status == 404


def test_nobody_watching_means_no_pictures_are_wanted(sink: WebSink) -> None:
    assert not sink.wants_picture(_NAME)
    with stream(sink, f"/picture.mjpg?{_QUERY}") as pictures:
        _offer(sink, _noise(0))
        next_jpeg(pictures)

    def has_left() -> bool:
        """Noticed at the next picture, or the next look."""
        if sink.wants_picture(_NAME):
            sink.picture(_NAME, _noise(1), 0.0)
        return sink.viewers == 0

    until(has_left)
    assert not sink.wants_picture(_NAME)


def test_a_viewer_who_does_not_read_holds_nobody_up_and_is_dropped(
    make: Callable[..., WebSink],
) -> None:
    sink = make(pictures_per_second=1e6, limits=Limits(stall_seconds=0.05))
    sink.status(_STATUS)
    threads = threading.active_count()
    path = f"/picture.mjpg?{_QUERY}"
    with stream(sink, path, receive_buffer=4096), stream(sink, path) as reading:
        assert sink.viewers == 2
        for number in itertools.count():
            image = _noise(number)
            _offer(sink, image)
            jpeg = next_jpeg(reading)
            bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert bgr is not None
            # Each picture reached the other viewer: none was held up, none skipped.
            assert np.corrcoef(bgr[..., ::-1].ravel(), image.ravel())[0, 1] > 0.5
            assert threading.active_count() <= threads + 2
            if sink.viewers == 1:
                break
            assert number < 5000, "the stalled viewer was never dropped"


def test_a_feed_that_nobody_reads_does_not_hold_up_labels(make: Callable[..., WebSink]) -> None:
    sink = make(limits=Limits(stall_seconds=0.05))
    sink.status(_STATUS)
    threads = threading.active_count()
    with stream(sink, "/api/feed", receive_buffer=4096):
        for frame in range(20_000):
            sink.label({"source": _NAME, "frame": frame, "padding": "x" * 100})
        assert threading.active_count() <= threads + 1
        assert json.loads(ask(sink, "/api/status").body)["labels"][_NAME]["frame"] == 19_999


def test_only_so_many_may_watch_and_connect(make: Callable[..., WebSink]) -> None:
    sink = make(limits=Limits(streams=2, connections=4))
    with stream(sink, "/api/feed"), stream(sink, "/api/feed"):
        refused = ask(sink, "/api/feed")
        assert refused.status == 503
        assert b"Too many are watching" in refused.body
        assert ask(sink, "/").status == 200


def test_one_connection_too_many_is_closed_at_once(make: Callable[..., WebSink]) -> None:
    sink = make(limits=Limits(connections=2))
    with stream(sink, "/api/feed"), stream(sink, "/api/feed"), raw(sink) as third:
        assert third.recv(1) == b""


def test_a_request_that_is_too_long_is_refused(make: Callable[..., WebSink]) -> None:
    sink = make(limits=Limits(head_bytes=1000))
    assert ask(sink, "/?" + "x" * 1000).status == 431
    assert ask(sink, "/", Cookie="x" * 1000).status == 431
    assert ask(sink, "/", Cookie="x" * 500).status == 200


def test_who_asks_too_slowly_is_dropped(make: Callable[..., WebSink]) -> None:
    clock = FakeClock()
    sink = make(clock=clock, limits=Limits(head_seconds=5))
    with raw(sink) as visit:
        visit.sendall(b"GET / HTTP/1.1\r\nHost: loc")
        until(lambda: sink.connections == 1)

        def is_dropped() -> bool:
            clock.advance(5.1)
            return sink.connections == 0

        until(is_dropped)
        assert visit.recv(1) == b""


def test_who_asks_in_time_is_not(make: Callable[..., WebSink]) -> None:
    clock = FakeClock()
    sink = make(clock=clock, limits=Limits(head_seconds=5))
    with stream(sink, "/api/feed") as feed:
        clock.advance(1000)
        sink.status(_STATUS)
        assert next_message(feed)["status"] == _STATUS


def test_a_connection_is_used_again(sink: WebSink) -> None:
    with raw(sink) as visit, visit.makefile("rb") as file:
        for _ in range(3):
            visit.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"200" in file.readline()
            length = 0
            while line := file.readline().strip().lower():
                if line.startswith(b"content-length:"):
                    length = int(line.split()[1])
            assert json.loads(file.read(length)) == {"status": "ok"}


def test_other_hosts_and_sites_are_refused(sink: WebSink) -> None:
    assert ask(sink, "/api/status", Host="attacker.example").status == 421
    embedded = ask(sink, "/api/status", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")
    assert embedded.status == 403


def test_beyond_this_machine_a_token_opens_the_page_once_and_a_cookie_afterwards(
    make: Callable[..., WebSink],
) -> None:
    sink = make("0.0.0.0:0")
    token = sink.url.partition("?token=")[2]
    assert len(token) >= 32
    for path in ("/", "/page.js", "/api/status", "/api/feed", "/nowhere", "/?token=wrong"):
        refused = ask(sink, path)
        assert refused.status == 401, path
        assert token.encode() not in refused.body
    welcome = ask(sink, f"/?token={token}")
    assert welcome.status == 200
    assert token.encode() not in welcome.body
    cookie = welcome.headers["Set-Cookie"].partition(";")[0]
    assert ask(sink, "/api/status", Cookie=cookie).status == 200
    assert ask(sink, "/", Cookie=cookie).body.startswith(b"<!doctype html>")
    assert ask(sink, "/api/status", Authorization=f"Bearer {token}").status == 200
    assert ask(sink, "/healthz").status == 503  # open to all, and empty of news
    assert ask(sink, f"/page.js?token={token}").status == 401  # only where it is taken away again


def test_a_given_token_is_asked_for_on_loopback_too(make: Callable[..., WebSink]) -> None:
    sink = make(token="0123456789abcdef")
    assert sink.url.endswith("/?token=0123456789abcdef")
    assert ask(sink, "/").status == 401
    assert ask(sink, "/?token=0123456789abcdef").status == 200


def test_nothing_is_logged(sink: WebSink, capfd: pytest.CaptureFixture[str]) -> None:
    ask(sink, "/?token=something-secret")
    ask(sink, "/nowhere")
    assert capfd.readouterr() == ("", "")


def test_health_follows_the_status(make: Callable[..., WebSink]) -> None:
    clock = FakeClock()
    sink = make(clock=clock)
    answers = [ask(sink, "/healthz")]
    sink.status(_STATUS)
    answers.append(ask(sink, "/healthz"))
    clock.advance(11)
    answers.append(ask(sink, "/healthz"))
    assert [answer.status for answer in answers] == [503, 200, 503]
    told = [json.loads(answer.body)["status"] for answer in answers]
    assert told == ["starting", "ok", "stalled"]


def test_closing_drops_everyone_and_leaves_no_thread() -> None:
    threads = set(threading.enumerate())
    sink = WebSink("0")
    sink.status(_STATUS)
    with stream(sink, "/api/feed") as feed, stream(sink, f"/picture.mjpg?{_QUERY}") as pictures:
        next_message(feed)
        sink.close()
        sink.close()
        assert feed.read().endswith(b"event: end\ndata: {}\n\n")
        pictures.read()
    assert set(threading.enumerate()) <= threads


def test_a_port_is_free_again_after_closing() -> None:
    sink = WebSink("0")
    with stream(sink, "/api/feed"):
        sink.close()
    again = WebSink(str(sink.port))
    assert again.port == sink.port
    assert json.loads(ask(again, "/healthz").body) == {"status": "starting"}
    again.close()
