"""What a backend does: one connection to something that gives pictures.

A backend knows nothing of names, segments, drops or reconnecting: ``DirectSource`` makes a file of
it, ``LiveSource`` a camera.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from effvit_edge.core.video import Losses
from effvit_edge.sources.base import Image, Timeout

CLOSE_SECONDS = 0.5
"""How long closing waits for a call into a library to come back before it leaves without."""


@dataclass(frozen=True)
class Grabbed:
    """A picture that a backend got."""

    pts_seconds: float | None
    """When it is shown, on the clock of the file or camera; None where nobody says."""
    arrival_seconds: float
    """On the monotonic clock, when it was there and decoded."""
    grab_ms: float
    """How long decoding took, without waiting for the camera."""
    load: Callable[[], Image]
    """Makes the picture RGB; called once at most, from the thread that reads the source."""


class Capture(Protocol):
    """One connection, open since it was made. Used by one thread at a time."""

    @property
    def backend(self) -> str:
        """What decodes it, in words, without secrets."""
        ...

    @property
    def nominal_fps(self) -> float | None:
        """Frames per second by its own word."""
        ...

    @property
    def expected_frames(self) -> int | None:
        """How many frames there should be, where it tells."""
        ...

    def grab(self) -> Grabbed | Timeout | None:
        """Wait for the next picture; None at an end that is as it should be.

        ``Timeout`` where none has come yet, so that whoever asks can see whether to go on.

        Raises:
            InputError: it has nothing that can be used.
            SourceError: it broke off.
        """
        ...

    def close(self) -> None:
        """Give back the file, device or connection. Closing twice is allowed."""
        ...


Connect: TypeAlias = Callable[[Losses], Capture]
"""Opens a backend, which counts what it cannot use. Raises InputError or EnvironmentFault."""


class Handover:
    """Closes something that another thread may be using, as soon as it is not.

    Args:
        close: closes it; called once.
    """

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close
        self._in_use = threading.Lock()
        self._asked = threading.Event()
        self._done = False

    @contextmanager
    def using(self) -> Iterator[bool]:
        """Whether it may be used; while the block runs, it stays open."""
        try:
            with self._in_use:
                yield not self.asked
        finally:
            if self.asked:
                self._close_once()

    @property
    def asked(self) -> bool:
        """Whether someone has asked to close it."""
        return self._asked.is_set()

    def close(self) -> None:
        """Close it now, or have the one who is using it close it afterwards."""
        self._asked.set()
        self._close_once()

    def _close_once(self) -> None:
        if not self._in_use.acquire(timeout=CLOSE_SECONDS):
            return
        try:
            if not self._done:
                self._done = True
                self._close()
        finally:
            self._in_use.release()
