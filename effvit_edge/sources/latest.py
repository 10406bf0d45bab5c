"""A queue between a thread that gives and one that takes, which keeps the newest."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

from effvit_edge.sources.base import End, Timeout

T = TypeVar("T")


class LatestFrames(Generic[T]):
    """Never makes the giver wait: what the taker is too slow for is dropped, oldest first.

    Args:
        size: how many are kept, at least one.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"a queue keeps one frame at least, not {size}")
        self._frames: deque[T] = deque(maxlen=size)
        self._changed = threading.Condition()
        self._ended = False
        self._error: Exception | None = None
        self.dropped = 0

    def put(self, frame: T) -> bool:
        """Give one. Returns whether an older one was dropped for it."""
        with self._changed:
            full = len(self._frames) == self._frames.maxlen
            self.dropped += full
            self._frames.append(frame)
            self._changed.notify()
        return full

    def finish(self, error: Exception | None = None) -> None:
        """No more will come; those that are there can still be taken, then the error is raised."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        """Forget everything; whoever waits gets the end."""
        with self._changed:
            self._frames.clear()
            self._ended, self._error = True, None
            self._changed.notify_all()

    def take(self, timeout: float | None) -> T | Timeout | End:
        """The oldest one kept; waits for it for some seconds, or for good.

        Raises:
            Exception: what ``finish`` was given; once, then the end is told.
        """
        with self._changed:
            self._changed.wait_for(lambda: bool(self._frames) or self._ended, timeout)
            if self._frames:
                return self._frames.popleft()
            if not self._ended:
                return Timeout()
            error, self._error = self._error, None
        if error:
            raise error
        return End()
