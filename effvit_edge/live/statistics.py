"""How fast and how late a source is labelled, over the last seconds."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

from effvit_edge.core.clock import Clock
from effvit_edge.live.decision import Decision

_WINDOW_SECONDS = 10.0
_LEAST_SECONDS = 0.05  # or two frames that waited would be thousands a second
_MOST = 2048  # of what is remembered, however fast the source


@dataclass(frozen=True)
class Pace:
    """What is known about a source's last seconds, and its counts since it began."""

    frames: int
    """That the source gave."""
    decisions: int
    undrawn: int
    """Pictures that were not drawn, because drawing was too slow for a live source."""
    fps: float
    """Frames a second that the source gave; 0 while too little was seen."""
    latencies_ms: tuple[float, ...]
    """From reading to label, of the decisions of the last seconds."""
    last: Decision | None

    @property
    def latency_ms(self) -> tuple[float, float, float] | None:
        """Their 50th, 90th and 99th percentile; None where there was no decision."""
        if not self.latencies_ms:
            return None
        p50, p90, p99 = np.percentile(self.latencies_ms, [50, 90, 99])
        return float(p50), float(p90), float(p99)


class Statistics:
    """Counts, from any thread.

    Args:
        clock: tells when.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._frames = self._decisions = self._undrawn = 0
        self._arrivals: deque[float] = deque(maxlen=_MOST)
        self._latencies: deque[tuple[float, float]] = deque(maxlen=_MOST)
        self._last: Decision | None = None

    def frame(self) -> None:
        """The source gave a frame."""
        with self._lock:
            self._frames += 1
            self._arrivals.append(self._clock.now())

    def decision(self, decision: Decision) -> None:
        """A frame was labelled."""
        with self._lock:
            self._decisions += 1
            self._last = decision
            self._latencies.append((self._clock.now(), decision.latency_ms.total))

    def undrawn(self) -> None:
        """A picture was not drawn."""
        with self._lock:
            self._undrawn += 1

    def pace(self) -> Pace:
        """What is known now."""
        with self._lock:
            oldest = self._clock.now() - _WINDOW_SECONDS
            while self._arrivals and self._arrivals[0] < oldest:
                self._arrivals.popleft()
            while self._latencies and self._latencies[0][0] < oldest:
                self._latencies.popleft()
            latencies = tuple(ms for _, ms in self._latencies)
            span = self._arrivals[-1] - self._arrivals[0] if self._arrivals else 0.0
            fps = (len(self._arrivals) - 1) / span if span > _LEAST_SECONDS else 0.0
            counts = (self._frames, self._decisions, self._undrawn)
            last = self._last
        return Pace(*counts, fps, latencies, last)
