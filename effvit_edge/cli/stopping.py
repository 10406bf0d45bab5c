"""Being asked to stop, by Ctrl-C or SIGTERM, without losing what was measured."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_DELIBERATE_SECONDS = 1.0
"""A second signal that comes sooner is the same one: a terminal and a container both send it."""


class Stopping:
    """Turns the two signals into a ``KeyboardInterrupt``, or into a note where one would lose work.

    A context manager; in a thread that gets no signals it does nothing.

    Args:
        told: called with the first signal.
    """

    def __init__(self, told: Callable[[], object] | None = None) -> None:
        self._told = told
        self._asked = False
        self._held = False
        self._when = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def asked(self) -> bool:
        """Whether one has come."""
        return self._asked

    def hold(self) -> None:
        """From now on a signal is only noted; one more, after a second, interrupts all the same."""
        self._held = True

    def release(self) -> None:
        """From now on a signal interrupts."""
        self._held = False

    def __enter__(self) -> Self:
        """Take the signals over."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._take) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        again = self._asked
        if not again:
            self._asked, self._when = True, now
            if self._told is not None:
                self._told()
        if self._held and (not again or now - self._when < _DELIBERATE_SECONDS):
            return
        self._held = True  # what is to be kept now is not to be lost to the next signal
        raise KeyboardInterrupt
