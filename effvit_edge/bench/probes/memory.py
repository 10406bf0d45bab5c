"""What this process holds in memory."""

from __future__ import annotations

import re

from effvit_edge.bench.probes.base import MEMORY, Reading
from effvit_edge.core.device import DeviceRoot

_FIELDS = {"VmRSS": "rss", "VmHWM": "peak", "VmSwap": "swapped"}
_LINE = re.compile(r"^(VmRSS|VmHWM|VmSwap):\s+(\d+) kB", re.MULTILINE)


class ProcessMemory:
    """Resident memory now and at its highest, from ``/proc/self/status``.

    On a Jetson the GPU's buffers are in the same memory, and only in part in these figures.
    """

    name = "/proc/self/status"

    def __init__(self, root: DeviceRoot) -> None:
        self._root = root

    def read(self) -> Reading:
        """See ``Probe.read``."""
        text = self._root.read("proc/self/status") or ""
        return {f"{MEMORY}.{_FIELDS[name]}": int(kb) / 1000 for name, kb in _LINE.findall(text)}

    def close(self) -> None:
        """See ``Probe.close``."""
