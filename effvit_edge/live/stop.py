"""Why a run ends before its sources do: someone asked, or a part of it failed."""

from __future__ import annotations

import threading


class Stop:
    """Set once, seen by all threads; the first failure is the run's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set = threading.Event()
        self._error: BaseException | None = None

    def ask(self) -> None:
        """End the run, because someone wants it to."""
        self._set.set()

    def fail(self, error: BaseException) -> None:
        """End the run, because this happened; what happens after the first does not count."""
        with self._lock:
            self._error = self._error or error
        self._set.set()

    @property
    def is_set(self) -> bool:
        """Whether the run is to end."""
        return self._set.is_set()

    @property
    def error(self) -> BaseException | None:
        """What failed, where something did."""
        with self._lock:
            return self._error

    def wait(self, seconds: float) -> bool:
        """Wait until the run is to end, but no longer than this; whether it is."""
        return self._set.wait(seconds)
