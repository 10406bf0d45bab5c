"""The power mode of a Jetson, by name: engines' tactics are timed in it."""

from __future__ import annotations

import re
import shutil
import subprocess

_TOOL = "nvpmodel"
_SECONDS = 10
_NAME = re.compile(r"^NV Power Mode: *(.+?) *$", re.MULTILINE)


def power_mode() -> str | None:
    """``MAXN_SUPER`` or ``15W``, for example; None where there are no modes or they are not told.

    Names and not numbers: mode 0 is not the fastest on every board.
    """
    if shutil.which(_TOOL) is None:
        return None
    try:
        done = subprocess.run(
            [_TOOL, "-q"], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _NAME.search(done.stdout)
    return found.group(1) if found else None
