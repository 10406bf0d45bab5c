"""One time that always goes on, from the times of a stream that starts anew now and then."""

from __future__ import annotations

_LEAP_SECONDS = 1.0
"""A stream's clock that goes back by so much, or on by so much more than time has passed, leapt."""
_STEP_SECONDS = 1e-6


class Timeline:
    """Places frames on a clock that starts at 0 with the first and strictly increases.

    Distances are the stream's own where it tells times, and those of the arrivals where it does
    not, or where its clock leaps. Across a reconnect, what passed in between is counted in.
    """

    def __init__(self) -> None:
        self._last: float | None = None
        self._last_arrival = 0.0
        self._last_stated: float | None = None
        self._lag = 0.0  # how far the stream is behind, as after a network's pause
        self.breaks = 0
        """How often the stream's own time has broken off."""

    def reconnected(self) -> None:
        """The next frame's stated time has nothing to do with those before."""
        if self._last is not None:
            self._last_stated, self._lag = None, 0.0
            self.breaks += 1

    def place(self, stated_seconds: float | None, arrival_seconds: float) -> float:
        """The time of the next frame, in seconds.

        Args:
            stated_seconds: by the stream, if it says.
            arrival_seconds: on the monotonic clock.
        """
        if self._last is None:
            self._last = 0.0
        else:
            passed = self._passed(stated_seconds, arrival_seconds - self._last_arrival)
            self._last += max(passed, _STEP_SECONDS)
        self._last_stated, self._last_arrival = stated_seconds, arrival_seconds
        return self._last

    def _passed(self, stated_seconds: float | None, by_arrival: float) -> float:
        if stated_seconds is None or self._last_stated is None:
            return by_arrival
        by_stream = stated_seconds - self._last_stated
        if by_stream <= -_LEAP_SECONDS or by_stream > by_arrival + self._lag + _LEAP_SECONDS:
            self.breaks += 1
            self._lag = 0.0
            return by_arrival
        self._lag = max(self._lag + by_arrival - by_stream, 0.0)
        return by_stream if by_stream > 0 else by_arrival
