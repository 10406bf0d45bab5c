"""Running something again and again, and what each time took."""

from __future__ import annotations

import statistics
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from effvit_edge.bench.statistics import Times
from effvit_edge.core.clock import Clock, MonotonicClock

_WINDOW = 20
"""Warm-up compares the medians of so many times and of as many before them."""
_LEAST_WINDOW = 3
_STEADY = 0.02
"""By less than this share they differ when it is steady."""

Work = Callable[[], Sequence[float]]
"""Does one piece of work, and tells how many milliseconds each of its stages took."""


@dataclass(frozen=True)
class Limits:
    """When to stop.

    Raises:
        ValueError: neither is given, or one is not positive.
    """

    seconds: float | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        given = [limit for limit in (self.seconds, self.count) if limit is not None]
        if not given or min(given) <= 0:
            raise ValueError(f"a run needs a positive limit, got {self}")

    def reached(self, seconds: float, count: int) -> bool:
        """Whether either limit is."""
        by_time = self.seconds is not None and seconds >= self.seconds
        return by_time or (self.count is not None and count >= self.count)


@dataclass(frozen=True)
class WarmUp:
    """What it took until times were steady."""

    seconds: float
    count: int
    steady: bool
    """Whether they were; otherwise the time for it was up."""


@dataclass
class Measurement:
    """What a run's pieces of work took."""

    stages: tuple[str, ...]
    times: dict[str, Times]
    """Milliseconds of each stage, ``(n,)``."""
    total: Times
    """Milliseconds of each whole piece, ``(n,)``: a little more than its stages together."""
    started: Times
    """When each began, in seconds from the start of the run, ``(n,)``."""
    seconds: float
    warm_up: WarmUp
    interrupted: bool = False
    """Whether someone stopped it before its limit."""

    @property
    def rate(self) -> float:
        """Pieces of work a second, waiting in between included."""
        return len(self.total) / self.seconds if self.seconds else 0.0


def warm_up(
    work: Work, clock: Clock | None = None, *, least_seconds: float = 2.0, most_seconds: float = 30
) -> WarmUp:
    """Work until two windows' medians differ by less than 2 %, and for ``least_seconds``.

    Args:
        work: done again and again.
        clock: tells the time.
        least_seconds: not shorter than this, however steady: clocks ramp up.
        most_seconds: not longer than this, or than ``least_seconds``.
    """
    most_seconds = max(most_seconds, least_seconds)
    clock = clock or MonotonicClock()
    recent: deque[float] = deque(maxlen=2 * _WINDOW)
    started, count = clock.now(), 0
    while True:
        before = clock.now()
        work()
        now = clock.now()
        recent.append(now - before)
        count += 1
        steady = _is_steady(recent, _WINDOW)
        if now - started >= (least_seconds if steady else most_seconds):
            # Slow work fills no windows; then it is judged by what there is.
            window = min(_WINDOW, max(_LEAST_WINDOW, len(recent) // 2))
            return WarmUp(now - started, count, steady or _is_steady(recent, window))


def measure(
    work: Work,
    stages: Sequence[str],
    limits: Limits,
    warmed: WarmUp,
    clock: Clock | None = None,
    *,
    pace: float | None = None,
    idle: Callable[[float], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Measurement:
    """Do the work until a limit is reached; Ctrl-C ends it and keeps what there is.

    Args:
        work: one piece; the next begins when it has ended.
        stages: names of the times that ``work`` tells.
        limits: when to stop.
        warmed: what :func:`warm_up` told.
        clock: tells the time.
        pace: seconds from the begin of one piece to that of the next, as frames of a camera come;
            as fast as it goes by default. A piece that is late begins at once.
        idle: waits so many seconds, with ``pace``.
        stop: asked before each piece whether to end now.
    """
    clock = clock or MonotonicClock()
    begun, total = array("d"), array("d")
    columns = [array("d") for _ in stages]
    interrupted = False
    started = clock.now()
    now, due = started, started
    try:
        while not limits.reached(now - started, len(total)):
            if stop is not None and stop():
                interrupted = True
                break
            if pace is not None:
                if idle is not None and due > now:
                    idle(due - now)
                due = max(due, now) + pace
            before = clock.now()
            told = work()
            now = clock.now()
            begun.append(before - started)
            total.append((now - before) * 1000)
            for column, value in zip(columns, told, strict=True):
                column.append(value)
    except KeyboardInterrupt:
        interrupted = True
    # An interrupted piece of work may have told some of its times.
    count = min(len(column) for column in (total, *columns))
    return Measurement(
        stages=tuple(stages),
        times={name: _times(column, count) for name, column in zip(stages, columns, strict=True)},
        total=_times(total, count),
        started=_times(begun, count),
        seconds=now - started,
        warm_up=warmed,
        interrupted=interrupted,
    )


def _is_steady(recent: Sequence[float], window: int) -> bool:
    if len(recent) < 2 * window:
        return False
    values = list(recent)[-2 * window :]
    older, newer = (statistics.median(part) for part in (values[:window], values[window:]))
    return abs(newer - older) <= _STEADY * older


def _times(column: array[float], count: int) -> Times:
    return np.array(column[:count], dtype=np.float64)
