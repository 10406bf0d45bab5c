"""A Jetson's load and memory, from the lines that ``tegrastats`` prints."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Sequence
from typing import IO

from effvit_edge.bench.probes.base import MEMORY, Reading

_TOOL = "tegrastats"
_MEGABYTES = re.compile(r"\bRAM (\d+)/\d+MB")
_SWAP = re.compile(r"\bSWAP (\d+)/\d+MB")
_FREE_BLOCKS = re.compile(r"lfb (\d+)x(\d+)MB")
_GPU = re.compile(r"\bGR3D_FREQ (\d+)%")
_MEMORY_BUS = re.compile(r"\bEMC_FREQ (\d+)%")


class Tegrastats:
    """Reads the newest line of a running ``tegrastats``, in a thread of its own.

    Args:
        interval_ms: how often it prints.
        command: stands in for the tool.

    Raises:
        OSError: there is no such tool, or it does not start.
    """

    name = _TOOL

    def __init__(self, interval_ms: int = 200, command: Sequence[str] | None = None) -> None:
        if command is None:
            tool = shutil.which(_TOOL)
            if tool is None:
                raise OSError(f"there is no {_TOOL}")
            command = [tool, "--interval", str(interval_ms)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._line = ""
        self.unknown = 0
        """Lines of which nothing was understood."""
        self._thread = threading.Thread(target=self._follow, name=_TOOL, daemon=True)
        self._thread.start()

    def read(self) -> Reading:
        """See ``Probe.read``."""
        return parse_line(self._line)

    def close(self) -> None:
        """See ``Probe.close``."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._thread.join(timeout=2)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _follow(self) -> None:
        lines: IO[str] | None = self._process.stdout
        for line in lines or ():
            if parse_line(line):
                self._line = line
            else:
                self.unknown += 1


def parse_line(line: str) -> Reading:
    """What a line tells, in whichever order: JetPacks differ. Of an unknown one, nothing."""
    values = {}
    for name, pattern in (
        (f"{MEMORY}.system", _MEGABYTES),
        (f"{MEMORY}.swap", _SWAP),
        ("load_percent.gpu", _GPU),
        ("load_percent.emc", _MEMORY_BUS),
    ):
        found = pattern.search(line)
        if found:
            values[name] = float(found[1])
    blocks = _FREE_BLOCKS.search(line)
    if blocks:
        values[f"{MEMORY}.largest_free_block"] = float(blocks[2])
    return values
