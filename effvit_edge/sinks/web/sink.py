"""The live page as a sink: see ``docs/web.md`` for what it serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.sinks.base import Image
from effvit_edge.sinks.web.access import Access, checked_token
from effvit_edge.sinks.web.address import is_loopback, parse_address, resolve, url_of
from effvit_edge.sinks.web.board import Board
from effvit_edge.sinks.web.pictures import Pictures
from effvit_edge.sinks.web.server import Limits, Server, Site


class WebSink:
    """Serves the page from its construction on; a ``FeedSink``.

    What it is fed replaces what it held, so that no viewer, however slow, holds anything up.

    Args:
        address: ``[HOST:]PORT``; 127.0.0.1 where no host is given, any free port for 0.
        token: what visitors must know. By default one is made, unless only this machine can reach
            the address: then none is asked for.
        pictures_per_second: of each source at most.
        picture_side: pixels; pictures with a longer side are scaled down.
        picture_quality: of the JPEG, 0 to 100.
        limits: what visitors may use up.
        clock: for the rate of pictures and the age of the status.

    Raises:
        InputError: the address or the token cannot be used.
        EnvironmentFault: the port is in use, or OpenCV is not installed.
    """

    def __init__(
        self,
        address: str,
        token: str | None = None,
        *,
        pictures_per_second: float = 15.0,
        picture_side: int = 1280,
        picture_quality: int = 80,
        limits: Limits | None = None,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or MonotonicClock()
        place = parse_address(address)
        self._token = checked_token(token, is_loopback(resolve(place)[1]))
        self._board = Board(clock)
        self._pictures = Pictures(clock, pictures_per_second, picture_side, picture_quality)
        site = Site(self._board, self._pictures, Access(self._token), clock, limits or Limits())
        try:
            self._server = Server(place, site)
        except BaseException:
            self._pictures.close()
            raise
        self._server.start()

    @property
    def url(self) -> str:
        """What to open in a browser, with the token where one is asked for: show it once."""
        url = url_of(self._server.address)
        return f"{url}?token={self._token}" if self._token else url

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.address.port

    @property
    def viewers(self) -> int:
        """How many streams of data and of pictures are open."""
        return self._server.streams

    @property
    def connections(self) -> int:
        """How many connections are open, of all kinds."""
        return self._server.connections

    def label(self, record: Mapping[str, Any]) -> None:
        """See ``FeedSink.label``."""
        self._board.put_label(record)

    def event(self, event: Mapping[str, Any]) -> None:
        """See ``FeedSink.event``."""
        self._board.put_event(event)

    def wants_picture(self, source: str) -> bool:
        """See ``FeedSink.wants_picture``."""
        return self._pictures.wants(source)

    def picture(self, source: str, image: Image, pts_seconds: float) -> None:
        """See ``FeedSink.picture``."""
        self._pictures.offer(source, image, pts_seconds)

    def status(self, status: Mapping[str, Any]) -> None:
        """See ``FeedSink.status``."""
        self._board.put_status(status)

    def close(self) -> None:
        """Stop serving; whoever watches sees that the run has ended."""
        self._server.close()
