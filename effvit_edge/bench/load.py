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
_CORE = re.compile(r"^cpu\d", re.MULTILINE)
_IDLE, _IO_WAIT, _GUEST = 3, 4, 8  # places in the line; guest time is in user time already
_PARENT, _TIMES = 1, slice(11, 15)  # places after the name: its own time, and its ended children's


@dataclass(frozen=True)
class LoadMark:
    """A moment: what the machine and this process had worked until then, in seconds."""

    wall: float
    machine: float | None
    """Of all cores together; None where the kernel does not tell."""
    process: float
    """With its children."""
    resolution: float = 0.0
    """By so much the machine's may be wrong: each core's is counted in ticks."""


def mark(root: DeviceRoot | None = None) -> LoadMark:
    """Note this moment.

    Args:
        root: where the device's files lie.
    """
    root = root or DeviceRoot()
    running = _children_seconds(root)
    own = os.times()
    process = own.user + own.system + own.children_user + own.children_system + running
    text = root.read("proc/stat") or ""
    resolution = len(_CORE.findall(text)) / _ticks_per_second()
    return LoadMark(time.monotonic(), _busy_seconds(text), process, resolution)


def others(begin: LoadMark, end: LoadMark) -> float | None:
    """How many cores other processes kept busy between two moments, on average.

    None where it cannot be told: no ``/proc/stat``, or too little time between the moments for
    ticks to tell idle from busy.
    """
    wall = end.wall - begin.wall
    if begin.machine is None or end.machine is None or wall <= 0:
        return None
    if end.resolution > BUSY_CORES * wall:
        return None
    own = end.process - begin.process
    return max(0.0, (end.machine - begin.machine - own) / wall)


def _busy_seconds(text: str) -> float | None:
    found = _FIRST_LINE.search(text)
    if found is None:
        return None
    ticks = [int(part) for part in found[1].split()][:_GUEST]
    busy = sum(value for place, value in enumerate(ticks) if place not in (_IDLE, _IO_WAIT))
    return busy / _ticks_per_second()


def _children_seconds(root: DeviceRoot) -> float:
    """Of children that run, as a sensor's tool does; ``os.times`` knows those that ended."""
    own, ticks = str(os.getpid()), 0
    for path in root.find("proc/[0-9]*/stat"):
        # The name stands in parentheses, and may hold blanks and parentheses itself.
        fields = (root.read(root.name_of(path)) or "").rpartition(")")[2].split()
        if fields[_PARENT : _PARENT + 1] == [own]:
            ticks += sum(int(part) for part in fields[_TIMES])
    return ticks / _ticks_per_second()


def _ticks_per_second() -> int:
    return os.sysconf("SC_CLK_TCK")
