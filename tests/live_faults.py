"""Sources, models and sinks that fail at a chosen moment, and a watcher that listens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from effvit_edge.core.errors import EdgeError
from effvit_edge.live import SourceStatus, Watcher
from effvit_edge.sources import End, Frame, MemorySource, Timeout

Played = tuple[float, np.ndarray] | Exception


def grey_film(
    count: int, fps: float = 20.0, hw: tuple[int, int] = (16, 16), start: int = 0
) -> Iterator[Played]:
    """Frames whose grey tells their number, made as they are asked for."""
    for number in range(start, start + count):
        yield number / fps, np.full((*hw, 3), number % 251, np.uint8)


class HangingSource(MemorySource):
    """Gives its frames, and then never returns from ``read``, whatever happens.

    ``hangs`` is set when it does; ``let_go`` frees it, for the end of a test.
    """

    def __init__(self, count: int, name: str = "stuck", *, is_live: bool = False) -> None:
        super().__init__(grey_film(count), name, is_live)
        self._left = count
        self.hangs, self.let_go = threading.Event(), threading.Event()

    def read(self, timeout: float | None = None) -> Frame | Timeout | End:
        """Hang when nothing is left."""
        if not self._left:
            self.hangs.set()
            self.let_go.wait()
            return End()
        self._left -= 1
        return super().read(timeout)

    def close(self) -> None:
        """Closing waits for the read, as some libraries do."""
        if self.hangs.is_set():
            self.let_go.wait()


class SilentSource(MemorySource):
    """A live source that gives some frames and then only timeouts, until it is closed."""

    def __init__(self, count: int, name: str = "silent") -> None:
        super().__init__(grey_film(count), name, is_live=True)
        self._left = count
        self._closed = threading.Event()
        self.waits = threading.Event()

    def read(self, timeout: float | None = None) -> Frame | Timeout | End:
        """Wait as long as one may when nothing is left."""
        if self._left:
            self._left -= 1
            return super().read(timeout)
        self.waits.set()
        return End() if self._closed.wait(timeout) else Timeout()

    def close(self) -> None:
        """Whoever waits gets the end."""
        self._closed.set()


class FailingSink:
    """Takes some records, and then raises with each."""

    def __init__(self, good: int, error: Exception) -> None:
        self.records: list[Mapping[str, Any]] = []
        self.complete: bool | None = None
        self._good, self._error = good, error

    def write(self, record: Mapping[str, Any]) -> None:
        """Keep it, or raise."""
        if len(self.records) == self._good:
            raise self._error
        self.records.append(record)

    def close(self, complete: bool) -> Path | None:
        """There is no file."""
        self.complete = complete
        return None


class Listener(Watcher):
    """Keeps what it is told, and asks to stop when a condition holds."""

    def __init__(self, stop_when: Callable[[], bool] = lambda: False) -> None:
        self.notes: list[str] = []
        self.failed: list[str] = []
        self.statuses: list[SourceStatus] = []
        self._stop_when = stop_when

    def progress(self, sources: Any) -> None:
        """Keep the newest."""
        self.statuses = list(sources)

    def source_failed(self, name: str, error: EdgeError) -> None:
        """Keep it."""
        self.failed.append(f"{name}: {error}")

    def note(self, text: str) -> None:
        """Keep it."""
        self.notes.append(text)

    def should_stop(self) -> bool:
        """Whether the condition holds."""
        return self._stop_when()
