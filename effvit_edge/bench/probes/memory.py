"""What this process holds in memory."""

from __future__ import annotations

import re

from effvit_edge.bench.probes.base import MEMORY, Reading
from effvit_edge.core.device import DeviceRoot

_FIELDS = {"VmRSS": "rss", "VmHWM": "peak", "VmSwap": "swapped"}
_LINE = re.compile(r"^(VmRSS|VmHWM|VmSwap):\s+(\d+) kB", re.MULTILINE)
_KIB_TO_MB = 1 / 1024  # the kernel's kB are of 1024 bytes


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
        found = _LINE.findall(text)
        return {f"{MEMORY}.{_FIELDS[name]}": int(kib) * _KIB_TO_MB for name, kib in found}

    def close(self) -> None:
        """See ``Probe.close``."""
