"""What threads have to tell, brought to the one thread that may show it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from effvit_edge.core.errors import EdgeError
from effvit_edge.live.watch import Watcher


class News:
    """Notes from any thread, delivered in order where ``deliver`` is called."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Callable[[Watcher], None]] = SimpleQueue()
        self._changed = threading.Event()

    def note(self, text: str) -> None:
        """See ``Watcher.note``."""
        self._put(lambda watcher: watcher.note(text))

    def failed(self, name: str, error: EdgeError) -> None:
        """See ``Watcher.source_failed``."""
        self._put(lambda watcher: watcher.source_failed(name, error))

    def wake(self) -> None:
        """Something has changed that whoever waits should look at."""
        self._changed.set()

    def wait(self, seconds: float) -> None:
        """Wait until there is news, but no longer than this."""
        self._changed.wait(seconds)
        self._changed.clear()

    def deliver(self, watcher: Watcher) -> None:
        """Tell what has come."""
        while True:
            try:
                tell = self._waiting.get_nowait()
            except Empty:
                return
            tell(watcher)

    def _put(self, tell: Callable[[Watcher], None]) -> None:
        self._waiting.put(tell)
        self._changed.set()
