"""Answers requests: the page's files, data as JSON and as a stream, pictures."""

from __future__ import annotations

import json
import select
import socket
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from effvit_edge.sinks.web.head import BoundedHead, HeadTooLarge

if TYPE_CHECKING:
    from effvit_edge.sinks.web.pictures import Picture
    from effvit_edge.sinks.web.server import Server

_WAIT_SECONDS = 1.0
"""Between two looks at whether a viewer that there is nothing for is still there."""
_STILL_WAIT_SECONDS = 2.0
_MIN_INTERVAL_SECONDS = 0.1
"""Between two messages of data to one viewer."""
_RETRY_MS = 1000
_STALLED_SECONDS = 10.0
_BOUNDARY = "picture"
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_TEXT, _HTML, _JSON = "text/plain; charset=utf-8", "text/html; charset=utf-8", "application/json"
# Answered instead of a redirect: where a link on another site led here, browsers count the whole
# chain of redirects as that site's, and would not send the cookie along. This page they count as
# ours. It also takes the token out of the address bar and the history.
_WELCOME = (
    b'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/">'
    b'<title>effvit-edge</title><p><a href="/">Go on to the page</a></p>\n'
)


class Handler(BaseHTTPRequestHandler):
    """One connection, and the requests that come over it one after another."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "effvit-edge", ""
    connection: socket.socket

    def setup(self) -> None:
        """See the base."""
        super().setup()
        self._head = BoundedHead(self.rfile, self.server.site.limits.head_bytes)
        self.rfile = self._head

    def handle_one_request(self) -> None:
        """Read a request and answer it; afterwards, another may come."""
        self.close_connection = True
        self.command = self.request_version = self.requestline = ""
        self.server.await_head(self.connection)
        self._head.restart()
        try:
            self.raw_requestline = self.rfile.readline()
            if not self.raw_requestline or not self.parse_request():
                return
            self.server.head_done(self.connection)
            self._answer()
        except HeadTooLarge:
            self.close_connection = True
            self._send_text(431, "The request is too large.")
        except OSError:  # the viewer is gone, or took too long
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: their lines may hold the token."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base says about requests it cannot read, in our form."""
        self.close_connection = True
        self._send_text(code, "The request cannot be understood.")

    def _answer(self) -> None:
        if self.command not in ("GET", "HEAD"):
            self.close_connection = True  # there may be a body, which nobody reads
            self._send_text(405, "Only GET and HEAD are answered.", {"Allow": "GET, HEAD"})
            return
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            self._send_text(400, "A request for this page has no body.")
            return
        path, _, query = self.path.partition("?")
        if path == "/healthz":
            self._send_health()
            return
        try:
            asked = parse_qs(query, max_num_fields=8)
        except ValueError:
            self._send_text(400, "The request cannot be understood.")
            return
        token = asked.get("token", [""])[0]
        if path == "/" and token and self.server.site.access.is_token(token):
            cookie = self.server.site.access.cookie(self.server.address.port)
            self._send(200, _HTML, _WELCOME, {"Set-Cookie": cookie})
            return
        refusal = self.server.site.access.refusal(self.headers)
        if refusal:
            self._send_text(*refusal)
            return
        self._route(path, asked.get("source", [""])[0])

    def _route(self, path: str, source: str) -> None:
        site = self.server.site
        if path in site.files:
            self._send(200, site.files[path].content_type, site.files[path].body)
        elif path == "/api/status":
            self._send_json(200, site.board.snapshot())
        elif path == "/api/feed":
            self._stream(self._feed, "text/event-stream")
        elif path in ("/picture.mjpg", "/picture.jpg"):
            if not site.board.knows(source):
                self._send_text(404, "There is no such source; /api/status lists them.")
            elif path == "/picture.jpg":
                self._send_still(source)
            else:
                kind = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
                self._stream(lambda: self._watch(source), kind)
        else:
            self._send_text(404, "There is nothing here.")

    def _send_health(self) -> None:
        """Whether labelling goes on, for those who supervise; it says nothing else."""
        age = self.server.site.board.status_age()
        if age is None:
            self._send_json(503, {"status": "starting"})
        elif age > _STALLED_SECONDS:
            self._send_json(503, {"status": "stalled"})
        else:
            self._send_json(200, {"status": "ok"})

    def _send_still(self, source: str) -> None:
        pictures = self.server.site.pictures
        pictures.want_still(source)
        still = pictures.next(source, 0, _STILL_WAIT_SECONDS)
        if still is None:
            self._send_text(503, "The source gives no pictures just now.", {"Retry-After": "2"})
        else:
            self._send(200, "image/jpeg", still.jpeg)

    def _stream(self, send_all: Any, content_type: str) -> None:
        """Answer with something that goes on until the viewer leaves."""
        self.close_connection = True
        with self.server.stream() as has_room:
            if not has_room:
                self._send_text(503, "Too many are watching already.", {"Retry-After": "5"})
                return
            self._start(200, content_type, {})
            if self.command == "GET":
                send_all()

    def _feed(self) -> None:
        """Data as server-sent events: everything once, then what has changed, then the end."""
        self.wfile.write(f"retry: {_RETRY_MS}\n\n".encode())
        since = 0
        while not self.server.closing.wait(_MIN_INTERVAL_SECONDS):
            found = self.server.site.board.changes(since, _WAIT_SECONDS)
            if found is not None:
                since, changes = found
                self.wfile.write(b"data: " + _json(changes) + b"\n\n")
            elif self._is_gone():
                return
        self.wfile.write(b"event: end\ndata: {}\n\n")

    def _watch(self, source: str) -> None:
        """Pictures, each replacing the one before."""
        pictures, number = self.server.site.pictures, 0
        with pictures.watching(source):
            self.wfile.write(f"--{_BOUNDARY}\r\n".encode())
            while not self.server.closing.is_set():
                picture = pictures.next(source, number, _WAIT_SECONDS)
                if picture is not None:
                    number = picture.number
                    self.wfile.write(_part(picture))
                elif self._is_gone():
                    return

    def _is_gone(self) -> bool:
        """Whether the viewer has hung up."""
        poll = select.poll()
        poll.register(self.connection, select.POLLIN)
        return bool(poll.poll(0)) and not self.connection.recv(1, socket.MSG_PEEK)

    def _send_json(self, status: int, value: Any) -> None:
        self._send(status, _JSON, _json(value) + b"\n")

    def _send_text(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        self._send(status, _TEXT, f"{text}\n".encode(), headers)

    def _send(
        self, status: int, content_type: str, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        self._start(status, content_type, {**(headers or {}), "Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _start(self, status: int, content_type: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": content_type, **headers}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()


def _part(picture: Picture) -> bytes:
    """A picture with the boundary after it: browsers show a part when its end is certain."""
    head = (
        f"Content-Type: image/jpeg\r\nContent-Length: {len(picture.jpeg)}\r\n"
        f"X-Time: {picture.pts_seconds:.6f}\r\n\r\n"
    )
    return head.encode() + picture.jpeg + f"\r\n--{_BOUNDARY}\r\n".encode()


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
