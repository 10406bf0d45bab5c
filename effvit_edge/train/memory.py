"""Memory of the C library, which a training step on a CPU takes and frees by the hundred megabytes.

glibc gives freed memory back to the kernel and takes it again at the next step, each page with a
fault: a fifth of a step of B0 at 112 pixels. Which steps it spares is luck; see docs/decisions.md.
"""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Options of ``mallopt``, as in glibc's malloc.h."""
_MOST, _MOST_OF_OLD = 2**31 - 1, 2**25
"""Bytes; older versions refuse an mmap threshold above the second."""


def keep_freed_memory() -> bool:
    """Let this process keep what it frees, to use it again.

    Returns:
        Whether it will: not where the C library is another one.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    if not (mallopt(_MMAP_THRESHOLD, _MOST) or mallopt(_MMAP_THRESHOLD, _MOST_OF_OLD)):
        return False
    return bool(mallopt(_TRIM_THRESHOLD, _MOST))
