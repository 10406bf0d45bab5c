"""Making a source's timestamps usable: none missing, each later than the one before.

Files are wrong in known ways. AVI stores no presentation times, and FFmpeg's guess swaps those of
B-frames, while the decoding times that come along are right. Broken files miss some, repeat some,
or start again from zero where two recordings were joined.
"""

from __future__ import annotations

_RESTART_SECONDS = 1.0  # a step back by more is a new start at once, not a frame out of place


class TimestampRepair:
    """Turns the times a decoder gives into strictly increasing ones; correct ones stay as they are.

    Args:
        frame_seconds: the nominal time from one frame to the next.
    """

    def __init__(self, frame_seconds: float) -> None:
        self._frame_seconds = frame_seconds
        self._last: float | None = None
        self._last_stated: float | None = None
        self._offset = 0.0
        self.repaired = 0
        """How many frames were given another time than the file's."""

    def next(self, stated_seconds: float | None) -> float:
        """The time of the next frame, from the one the file states, if it states any."""
        before, self._last_stated = self._last_stated, stated_seconds
        if self._last is None:
            self._last = 0.0 if stated_seconds is None else stated_seconds
            return self._last
        following = self._last + self._frame_seconds
        if stated_seconds is None:
            return self._repair(following)
        shifted = stated_seconds + self._offset
        if shifted > self._last:
            self._last = shifted
            return shifted
        goes_on_behind = before is not None and before < stated_seconds
        if goes_on_behind or shifted < self._last - _RESTART_SECONDS:
            self._offset = following - stated_seconds
            return self._repair(following)
        # A frame out of place: it goes between its neighbours, and the clock does not run ahead.
        return self._repair(self._last + self._frame_seconds / 2)

    def _repair(self, seconds: float) -> float:
        self.repaired += 1
        self._last = seconds
        return seconds
