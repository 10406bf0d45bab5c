"""A source that goes on for good: a thread reads it, the newest frames are kept, contact is remade.

backend, blocking   ->   newest frames   ->   whoever reads
   (a thread)            (bounded)
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.closing import Closing
from effvit_edge.core.errors import EdgeError, EnvironmentFault
from effvit_edge.core.video import Losses
from effvit_edge.sources.backoff import Backoff
from effvit_edge.sources.base import End, Frame, Health, SourceError, Timeout
from effvit_edge.sources.capture import CLOSE_SECONDS, Capture, Connect, Grabbed
from effvit_edge.sources.latest import LatestFrames
from effvit_edge.sources.redact import redacted
from effvit_edge.sources.timeline import Timeline

BUFFER = 2
_GAP_SECONDS = 1.0
_GAP_FRAMES = 4  # of a camera so slow that they last longer
_STEADY_SECONDS = 10.0  # a connection that held so long is not one that keeps failing
_TOO_SLOW = "came faster than they were taken"


@dataclass(frozen=True)
class LivePolicy:
    """How a live source treats its frames and its failures."""

    buffer: int = BUFFER
    """How many of the newest frames are kept for whoever reads."""
    gap_seconds: float | None = None
    """Frames further apart start a new segment; by default 1 s, or four frames of a slow camera."""
    reconnect: bool = True
    """Whether to try again for good where contact is lost, or to fail."""


@dataclass(frozen=True)
class _Placed:
    grabbed: Grabbed
    pts_seconds: float
    stretch: int


class LiveSource(Closing):
    """Reads a camera in a thread of its own, from the moment that it is made.

    ``read`` raises what the first connection failed with. Once a frame was given, failures are
    followed by new attempts, with growing waits, and are told by ``health``.

    Args:
        name: each record's ``source``, without secrets.
        connect: opens the backend, in the thread.
        policy: what is kept, and what becomes of failures.
        planned_backend: what ``health`` says decodes it until it is known.
        clean: takes secrets out of a message.
        backoff: how long to wait before trying again.
        clock: the same that stamps the backend's frames.
    """

    is_live = True

    def __init__(
        self,
        name: str,
        connect: Connect,
        policy: LivePolicy | None = None,
        *,
        planned_backend: str = "",
        clean: Callable[[str], str] = redacted,
        backoff: Backoff | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.losses = Losses()
        self.expected_frames: int | None = None
        self.nominal_fps: float | None = None
        self._connect, self._clean = connect, clean
        self._policy = policy or LivePolicy()
        self._backoff = backoff or Backoff()
        self._clock = clock or MonotonicClock()
        self._frames: LatestFrames[_Placed] = LatestFrames(self._policy.buffer)
        self._timeline = Timeline()
        self._stop = threading.Event()
        self._health = Health("connecting", planned_backend)
        self._index = self._segment = 0
        self._last: _Placed | None = None
        self._thread = threading.Thread(target=self._work, name=f"source {name}", daemon=True)
        self._thread.start()

    def read(self, timeout: float | None = None) -> Frame | Timeout | End:
        """See ``Source.read``."""
        placed = self._frames.take(timeout)
        if not isinstance(placed, _Placed):
            return placed
        if self._last is not None and self._is_apart(self._last, placed):
            self._segment += 1
        self._last = placed
        frame = Frame(
            self._index,
            placed.pts_seconds,
            placed.grabbed.arrival_seconds,
            placed.grabbed.grab_ms,
            placed.grabbed.load,
            self._clock,
            self._segment,
        )
        self._index += 1
        return frame

    @property
    def health(self) -> Health:
        """See ``Source.health``."""
        return replace(self._health, dropped=self._frames.dropped)

    def close(self) -> None:
        """See ``Source.close``. A backend that hangs is left to close itself when it comes back."""
        self._stop.set()
        self._frames.close()
        if self._thread is not threading.current_thread():
            self._thread.join(CLOSE_SECONDS)

    def _is_apart(self, before: _Placed, after: _Placed) -> bool:
        limit = self._policy.gap_seconds
        if limit is None:
            limit = max(_GAP_SECONDS, _GAP_FRAMES / (self.nominal_fps or _GAP_FRAMES))
        return after.stretch != before.stretch or after.pts_seconds - before.pts_seconds > limit

    def _work(self) -> None:
        """The thread: connect, read, and once more, until someone closes the source."""
        try:
            while not self._stop.is_set():
                fault = self._read_one_connection()
                if fault is None or self._stop.is_set():
                    break
                self._after(fault)
        except EdgeError as error:
            self._tell(state="failed", last_error=self._clean(str(error)))
            self._frames.finish(error)
        except Exception as error:  # a fault of this program: whoever reads must get to see it
            self._tell(state="failed", last_error=self._clean(str(error)))
            self._frames.finish(error)
        else:
            self._tell(state="ended")
            self._frames.finish()

    def _read_one_connection(self) -> EdgeError | None:
        """What it broke off with; None at its end, or when the source was closed."""
        self._timeline.reconnected()
        try:
            capture = self._connect(self.losses)
        except EdgeError as error:
            return error
        since = self._clock.now()
        with closing(capture):
            try:
                self._read_all(capture)
            except EdgeError as error:
                if self._clock.now() - since > _STEADY_SECONDS:
                    self._backoff.reset()
                return error
        return None

    def _read_all(self, capture: Capture) -> None:
        self._tell(backend=capture.backend)
        self.nominal_fps = capture.nominal_fps
        while not self._stop.is_set():
            grabbed = capture.grab()
            if grabbed is None:
                return
            if isinstance(grabbed, Timeout):
                continue
            if self._health.state != "playing":
                again = self._health.state == "reconnecting"
                self._tell(state="playing", reconnects=self._health.reconnects + again)
            pts_seconds = self._timeline.place(grabbed.pts_seconds, grabbed.arrival_seconds)
            if self._frames.put(_Placed(grabbed, pts_seconds, self._timeline.breaks)):
                self.losses.add(1, _TOO_SLOW)

    def _after(self, fault: EdgeError) -> None:
        """Wait for the next attempt, or raise where there is to be none."""
        text = self._clean(str(fault))
        if self._health.state == "connecting":
            if isinstance(fault, SourceError):
                raise EnvironmentFault(text) from None
            raise fault
        if not self._policy.reconnect:
            raise fault
        self._tell(state="reconnecting", last_error=text)
        self._stop.wait(self._backoff.next())

    def _tell(self, **changes: object) -> None:
        self._health = replace(self._health, **changes)  # type: ignore[arg-type]
