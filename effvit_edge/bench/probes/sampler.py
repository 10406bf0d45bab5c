"""Reading probes again and again, beside what is measured."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import TracebackType
from typing import TYPE_CHECKING

from effvit_edge.bench.probes.base import CLOCK, ENERGY, POWER, THROTTLED, Probe, Reading
from effvit_edge.core.clock import Clock, MonotonicClock

if TYPE_CHECKING:
    from typing_extensions import Self

INTERVAL_SECONDS = 0.2


@dataclass
class Samples:
    """What was read during a run."""

    seconds: list[float] = field(default_factory=list)
    """When, from the start of the run."""
    readings: list[Reading] = field(default_factory=list)

    def series(self, name: str) -> list[tuple[float, float]]:
        """Pairs of seconds and a value; only where it was read."""
        pairs = zip(self.seconds, self.readings, strict=True)
        return [(at, reading[name]) for at, reading in pairs if name in reading]

    @property
    def names(self) -> list[str]:
        """Every value that was read at least once."""
        return sorted({name for reading in self.readings for name in reading})

    @property
    def throttled(self) -> list[str]:
        """What was slowed down during the run: its counter rose."""
        counters = [name for name in self.names if name.startswith(f"{THROTTLED}.")]
        return [name.partition(".")[2] for name in counters if self._rise(name) > 0]

    def mean(self, name: str) -> float | None:
        """Over time, each value holding until the next; None where there is none."""
        found = self.series(name)
        if not found:
            return None
        spans = [after[0] - before[0] for before, after in pairwise(found)]
        if not sum(spans):
            return found[0][1]
        weighted = sum(value * span for (_, value), span in zip(found, spans, strict=False))
        return weighted / sum(spans)

    def joules(self) -> dict[str, float]:
        """Energy by source: of counters their rise, else power over time."""
        result = {}
        for name in self.names:
            kind, _, source = name.partition(".")
            if kind == ENERGY:
                result[source] = self._rise(name)
        for name in self.names:
            kind, _, source = name.partition(".")
            mean, found = self.mean(name), self.series(name)
            if kind == POWER and source not in result and mean is not None:
                result[source] = mean * (found[-1][0] - found[0][0])
        return result

    def clocks(self) -> dict[str, tuple[float, float]]:
        """The lowest and the mean clock of each part, in MHz."""
        result = {}
        for name in self.names:
            mean = self.mean(name)
            if name.startswith(f"{CLOCK}.") and mean is not None:
                lowest = min(value for _, value in self.series(name))
                result[name.partition(".")[2]] = lowest, mean
        return result

    def _rise(self, name: str) -> float:
        """Of a counter; a counter that began anew counts from there."""
        values = [value for _, value in self.series(name)]
        return sum(
            after - before if after >= before else after for before, after in pairwise(values)
        )


class Sampler:
    """Reads probes in a thread of its own from ``start`` to ``stop``.

    Args:
        probes: closing them is the caller's.
        clock: tells the time.
        interval_seconds: between two readings.
    """

    def __init__(
        self,
        probes: Sequence[Probe],
        clock: Clock | None = None,
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        self.samples = Samples()
        self._probes = probes
        self._clock = clock or MonotonicClock()
        self._interval = interval_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="sampler", daemon=True)

    def __enter__(self) -> Self:
        """Take the first reading, and go on in the background."""
        self._started = self._clock.now()
        self._sample()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and take the last reading."""
        self._stop.set()
        self._thread.join()
        self._sample()

    def _follow(self) -> None:
        while not self._stop.wait(self._interval):
            self._sample()

    def _sample(self) -> None:
        self.samples.seconds.append(self._clock.now() - self._started)
        self.samples.readings.append(
            {name: value for probe in self._probes for name, value in probe.read().items()}
        )
