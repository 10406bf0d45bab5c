"""How fast the machine itself is, by two fixed pieces of work.

A run on a virtual machine, or beside others who share caches and memory, may be slow where nothing
on this machine is busy. The same work before and after a run, and beside another run, tells.
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from effvit_edge.core.clock import Clock, MonotonicClock

CHANGED = 0.05
"""By more than this share, two speeds are not the same; on an idle machine they differ by 1 %."""
_MEBIBYTE = 1 << 20
_COPIED = 16 * _MEBIBYTE
"""More than a core's own caches hold."""
_TIMES = 31


@dataclass(frozen=True)
class Speed:
    """What fixed work takes, in milliseconds."""

    core: float
    """Hashing a mebibyte with SHA-256, which stays in the caches: the core's clock."""
    memory: float
    """Copying 16 MiB: what the memory gives to this core while others use it."""

    def changes(self, other: Speed) -> list[str]:
        """What took noticeably longer or shorter the other time, in words."""
        found = []
        for name in ("core", "memory"):
            before, after = getattr(self, name), getattr(other, name)
            if before > 0 and abs(after / before - 1) > CHANGED:
                found.append(f"{name} {before:.2f} and {after:.2f} ms for the same work")
        return found


def measure_speed(clock: Clock | None = None) -> Speed:
    """Do both pieces of work some dozens of times, about 0.1 s in all; their medians.

    Args:
        clock: tells the time.
    """
    clock = clock or MonotonicClock()
    block = bytes(_MEBIBYTE)
    source = np.ones(_COPIED, np.uint8)
    target = np.empty_like(source)
    return Speed(
        core=_median(lambda: hashlib.sha256(block).digest(), clock),
        memory=_median(lambda: np.copyto(target, source), clock),
    )


def _median(work: Callable[[], object], clock: Clock) -> float:
    times = []
    for _ in range(_TIMES):
        started = clock.now()
        work()
        times.append(1000 * (clock.now() - started))
    return statistics.median(times)
