"""The HTTP server: a thread a connection, and bounds on all that a visitor could use up."""

from __future__ import annotations

import contextlib
import logging
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from effvit_edge.core.clock import Clock
from effvit_edge.sinks.web.access import Access
from effvit_edge.sinks.web.address import Address, cannot_listen, resolve
from effvit_edge.sinks.web.board import Board
from effvit_edge.sinks.web.handler import Handler
from effvit_edge.sinks.web.page_files import PageFile, page_files
from effvit_edge.sinks.web.pictures import Pictures

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_GOODBYE_SECONDS, _CLOSE_SECONDS = 0.3, 0.7
# What the system keeps for a viewer that reads slowly. More would be a longer delay, not more
# pictures: what is in there is sent, however old it has become.
_SEND_BUFFER = 256 * 1024
# A machine that vanished from the network is noticed by its silence, in seconds; by name, since
# not every system has each.
_TCP_OPTIONS = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}


@dataclass(frozen=True)
class Limits:
    """What visitors may use up."""

    connections: int = 64
    """At once, of all kinds; one more is closed as it comes."""
    streams: int = 24
    """Of these, pictures and data that go on until the viewer leaves."""
    head_bytes: int = 16 * 1024
    """Of a request's line and headers."""
    head_seconds: float = 10.0
    """From a connection's beginning, or its last answer, until a whole request is there."""
    stall_seconds: float = 10.0
    """For a viewer to take what it is sent."""


@dataclass
class Site:
    """What is served, to whom, and how much of it."""

    board: Board
    pictures: Pictures
    access: Access
    clock: Clock
    limits: Limits
    files: dict[str, PageFile] = field(default_factory=page_files)


class Server(socketserver.ThreadingTCPServer):
    """Listens from the start, and serves from ``start`` on.

    Args:
        address: where; port 0 takes a free one.
        site: what.

    Raises:
        InputError: this machine has no such address.
        EnvironmentFault: the port is in use, or needs special rights.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False  # close() waits for the threads, but not for ever
    request_queue_size = 32

    def __init__(self, address: Address, site: Site) -> None:
        self.address_family, numeric = resolve(address)
        self.site = site
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._visits: dict[socket.socket, _Visit] = {}
        self._streams = 0
        try:
            super().__init__((numeric.host, numeric.port), Handler)
        except OSError as error:
            raise cannot_listen(address, error) from error
        self.address = Address(numeric.host, int(self.server_address[1]))
        self._thread = threading.Thread(
            target=self.serve_forever, args=(_POLL_SECONDS,), name="web-server", daemon=True
        )

    def start(self) -> None:
        """Serve, in a thread of its own."""
        self._thread.start()

    @property
    def connections(self) -> int:
        """How many are open."""
        with self._lock:
            return len(self._visits)

    @property
    def streams(self) -> int:
        """How many of them go on until the viewer leaves."""
        with self._lock:
            return self._streams

    @contextmanager
    def stream(self) -> Iterator[bool]:
        """Whether there is room for one more stream; it is taken up while inside."""
        with self._lock:
            has_room = self._streams < self.site.limits.streams
            self._streams += has_room
        try:
            yield has_room
        finally:
            with self._lock:
                self._streams -= has_room

    def await_head(self, request: socket.socket) -> None:
        """From now on the connection has so long to send a request."""
        self._set_deadline(request, self.site.clock.now() + self.site.limits.head_seconds)

    def head_done(self, request: socket.socket) -> None:
        """The request is there."""
        self._set_deadline(request, None)

    def close(self) -> None:
        """Stop serving, drop everyone, and close the site. Closing twice is allowed."""
        if self.closing.is_set():
            return
        self.closing.set()
        self.site.board.close()  # these let the threads go that wait for news
        self.site.pictures.close()
        if self._thread.is_alive():
            self.shutdown()
        self.server_close()
        with self._lock:
            visits = dict(self._visits)
        for request, visit in visits.items():
            if visit.deadline is not None:  # nothing is being answered
                _hang_up(request)
        _join(visits.values(), _GOODBYE_SECONDS)
        for request in visits:
            _hang_up(request)
        _join(visits.values(), _CLOSE_SECONDS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread of its own, or hang up where there are too many."""
        thread = threading.Thread(
            target=self.process_request_thread,
            args=(request, client_address),
            name="web-visit",
            daemon=True,
        )
        with self._lock:
            is_full = len(self._visits) >= self.site.limits.connections
            if not is_full:
                self._visits[request] = _Visit(thread)
        if is_full:
            self.shutdown_request(request)
            return
        self.await_head(request)
        thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """See ``process_request``."""
        try:
            with contextlib.suppress(OSError):  # the visitor is gone already
                _prepare(request, self.site.limits)
                super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._visits.pop(request, None)

    def service_actions(self) -> None:
        """Now and then: hang up on those who were given long enough to ask."""
        now = self.site.clock.now()
        with self._lock:
            late = [
                request
                for request, visit in self._visits.items()
                if visit.deadline is not None and visit.deadline < now
            ]
        for request in late:
            _hang_up(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Viewers that leave are no error; what remains is one of ours."""
        if not isinstance(sys.exc_info()[1], OSError):
            _log.exception("A request for the web page failed.")

    def _set_deadline(self, request: socket.socket, deadline: float | None) -> None:
        with self._lock:
            if request in self._visits:
                self._visits[request].deadline = deadline


@dataclass
class _Visit:
    """A connection."""

    thread: threading.Thread
    deadline: float | None = None
    """Seconds on the clock: by then it must have asked for something; None once it has."""


def _join(visits: Iterable[_Visit], seconds: float) -> None:
    """Wait for their threads, no longer than this for all of them."""
    last = time.monotonic() + seconds
    for visit in visits:
        visit.thread.join(max(0.0, last - time.monotonic()))


def _prepare(request: socket.socket, limits: Limits) -> None:
    request.settimeout(limits.stall_seconds)
    request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    request.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in _TCP_OPTIONS.items():
        if hasattr(socket, name):
            request.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _hang_up(request: socket.socket) -> None:
    """Make every read and write of the connection's thread end."""
    with contextlib.suppress(OSError):  # it may be closed already
        request.shutdown(socket.SHUT_RDWR)
