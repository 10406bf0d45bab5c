"""Whether the machine had other work while something was measured."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass

from effvit_edge.core.device import DeviceRoot

BUSY_CORES = 0.05
"""More of a core than this, taken by others, and the machine is not called idle."""
_FIRST_LINE = re.compile(r"^cpu +(.+)$", re.MULTILINE)
_IDLE, _IO_WAIT, _GUEST = 3, 4, 8  # places in the line; guest time is in user time already


@dataclass(frozen=True)
class LoadMark:
    """A moment: what the machine and this process had worked until then, in seconds."""

    wall: float
    machine: float | None
    """Of all cores together; None where the kernel does not tell."""
    process: float


def mark(root: DeviceRoot | None = None) -> LoadMark:
    """Note this moment.

    Args:
        root: where the device's files lie.
    """
    own = os.times()
    process = own.user + own.system + own.children_user + own.children_system
    return LoadMark(time.monotonic(), _busy_seconds(root or DeviceRoot()), process)


def others(begin: LoadMark, end: LoadMark) -> float | None:
    """How many cores other processes kept busy between two moments, on average.

    None where it cannot be told: no ``/proc/stat``, or no time between the moments.
    """
    wall = end.wall - begin.wall
    if begin.machine is None or end.machine is None or wall <= 0:
        return None
    own = end.process - begin.process
    return max(0.0, (end.machine - begin.machine - own) / wall)


def _busy_seconds(root: DeviceRoot) -> float | None:
    found = _FIRST_LINE.search(root.read("proc/stat") or "")
    if found is None:
        return None
    ticks = [int(part) for part in found[1].split()][:_GUEST]
    busy = sum(value for place, value in enumerate(ticks) if place not in (_IDLE, _IO_WAIT))
    return busy / os.sysconf("SC_CLK_TCK")
