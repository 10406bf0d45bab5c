"""Time as an argument, so that tests decide what time it is."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Anything that tells a time in seconds that never goes backwards."""

    def now(self) -> float:
        """Seconds since an arbitrary start."""
        ...


class MonotonicClock:
    """The machine's monotonic clock, at its finest resolution."""

    def now(self) -> float:
        """Seconds since an arbitrary start."""
        return time.perf_counter()


class FakeClock:
    """A clock that moves only when told to."""

    def __init__(self, start_seconds: float = 0.0) -> None:
        self._now = start_seconds

    def now(self) -> float:
        """Seconds: the start plus every advance so far."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move forward.

        Raises:
            ValueError: ``seconds`` is negative; a monotonic clock does not go back.
        """
        if seconds < 0:
            raise ValueError(f"a monotonic clock does not go back, got {seconds} s")
        self._now += seconds
