"""Pictures for those who look: encoded once for all of them, and not at all where nobody does.

Each source has room for one picture to encode and one that is encoded. A newer one replaces it,
so that nothing piles up, whoever is slow.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from effvit_edge.core.clock import Clock
from effvit_edge.core.optional import require
from effvit_edge.sinks.base import Image

_STILL_INTEREST_SECONDS = 3.0  # one who asked for a still will soon ask for the next
_STILLS_PER_SECOND = 1.0


@dataclass(frozen=True)
class Picture:
    """A JPEG, and its number among those of its source."""

    number: int
    jpeg: bytes
    pts_seconds: float


@dataclass
class _Channel:
    """One source's pictures."""

    watchers: int = 0
    still_until: float = float("-inf")
    """Seconds on the clock: until then someone wants a still now and then."""
    due: float = float("-inf")
    """Seconds on the clock: before then no picture is wanted."""
    raw: tuple[Image, float] | None = None
    encoded: Picture | None = None
    number: int = 0

    def is_watched(self, now: float) -> bool:
        return self.watchers > 0 or now < self.still_until


class Pictures:
    """Encodes the newest picture of each source that anyone looks at, in a thread of its own.

    Args:
        clock: for the rate.
        per_second: pictures of a source at most.
        max_side: pixels; larger pictures are scaled down.
        quality: of the JPEG, 0 to 100.

    Raises:
        EnvironmentFault: OpenCV is not installed.
    """

    def __init__(self, clock: Clock, per_second: float, max_side: int, quality: int) -> None:
        self._cv2: Any = require("cv2", "web")
        self._clock = clock
        self._interval = 1 / per_second
        self._max_side = max_side
        self._options = [self._cv2.IMWRITE_JPEG_QUALITY, quality]
        self._changed = threading.Condition()
        self._channels: dict[str, _Channel] = {}
        self._closed = False
        self._encoder = threading.Thread(target=self._encode_all, name="web-jpeg", daemon=True)
        self._encoder.start()

    def wants(self, source: str) -> bool:
        """Whether a picture would be seen, and one is due."""
        with self._changed:
            channel = self._channels.get(source)
            now = self._clock.now()
            return (
                channel is not None
                and channel.raw is None
                and channel.is_watched(now)
                and now >= channel.due
            )

    def offer(self, source: str, image: Image, pts_seconds: float) -> None:
        """Take the newest picture of a source; without anyone looking it is forgotten."""
        with self._changed:
            channel = self._channels.get(source)
            now = self._clock.now()
            if channel is None or not channel.is_watched(now):
                return
            interval = self._interval if channel.watchers else 1 / _STILLS_PER_SECOND
            # From when it was due, not from now: a source at 25 frames a second would otherwise
            # give 12.5 pictures where 15 are allowed.
            channel.due += interval
            if channel.due <= now:
                channel.due = now + interval
            channel.raw = (image, pts_seconds)
            self._changed.notify_all()

    @contextmanager
    def watching(self, source: str) -> Iterator[None]:
        """While inside, someone looks at the source's moving picture."""
        with self._changed:
            channel = self._looked_at(source)
            channel.watchers += 1
            channel.due = float("-inf")
        try:
            yield
        finally:
            with self._changed:
                channel.watchers -= 1
                self._forget_unwatched()

    def want_still(self, source: str) -> None:
        """Someone looks at the source now and then."""
        with self._changed:
            self._looked_at(source).still_until = self._clock.now() + _STILL_INTEREST_SECONDS
            self._forget_unwatched()

    def next(self, source: str, after: int, timeout_seconds: float) -> Picture | None:
        """The newest picture of a source with a number above another; None where none came."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._newest(source, after) is not None, timeout_seconds
            )
            return None if self._closed else self._newest(source, after)

    def close(self) -> None:
        """Stop encoding, and let everyone who waits go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._encoder.join()

    def _newest(self, source: str, after: int) -> Picture | None:
        channel = self._channels.get(source)
        if channel is None or channel.encoded is None or channel.encoded.number <= after:
            return None
        return channel.encoded

    def _looked_at(self, source: str) -> _Channel:
        """The source's channel; a picture from before anyone looked is not shown as if new."""
        channel = self._channels.setdefault(source, _Channel())
        if not channel.is_watched(self._clock.now()):
            channel.encoded = None
        return channel

    def _forget_unwatched(self) -> None:
        now = self._clock.now()
        for source in [name for name, one in self._channels.items() if not one.is_watched(now)]:
            del self._channels[source]

    def _encode_all(self) -> None:
        while (taken := self._take()) is not None:
            channel, image, pts_seconds = taken
            jpeg = self._encode(image)
            with self._changed:
                if jpeg is not None:
                    channel.number += 1
                    channel.encoded = Picture(channel.number, jpeg, pts_seconds)
                    self._changed.notify_all()

    def _take(self) -> tuple[_Channel, Image, float] | None:
        with self._changed:
            while not self._closed:
                for source, channel in self._channels.items():
                    if channel.raw is not None:
                        (image, pts_seconds), channel.raw = channel.raw, None
                        # To the end of the line: no source waits for another twice.
                        self._channels[source] = self._channels.pop(source)
                        return channel, image, pts_seconds
                self._changed.wait()
            return None

    def _encode(self, image: Image) -> bytes | None:
        cv2 = self._cv2
        height, width = image.shape[:2]
        scale = self._max_side / max(height, width)
        try:
            if scale < 1:
                size = max(1, round(width * scale)), max(1, round(height * scale))
                image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), self._options)
        except cv2.error:  # a picture that no JPEG can hold: the next may be another
            return None
        return bytes(data) if done else None
