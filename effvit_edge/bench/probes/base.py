"""What a probe reads.

Units are in the names: ``power_w.VDD_IN``, ``temperature_c.gpu-thermal``, ``clock_mhz.gpu``,
``throttled.cpu`` (a counter: any rise during a run taints it), ``energy_j.package-0`` (a counter),
``memory_mb.rss``. A MB of memory is 2**20 bytes, as in ``tegrastats``, ``free -m`` and
``nvidia-smi``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

POWER, TEMPERATURE, CLOCK = "power_w", "temperature_c", "clock_mhz"
THROTTLED, ENERGY, MEMORY = "throttled", "energy_j", "memory_mb"

Reading = Mapping[str, float]
"""Values by name; what could not be read this time is left out."""


class Probe(Protocol):
    """One kind of sensor. A probe that cannot be read gives nothing and never raises."""

    @property
    def name(self) -> str:
        """For the report: where its values come from."""
        ...

    def read(self) -> Reading:
        """The values now."""
        ...

    def close(self) -> None:
        """Give back what it holds. Closing twice is allowed."""
        ...


class FileProbe:
    """Numbers in files of the kernel.

    Args:
        name: where the values come from.
        files: for each value's name its file, and what one unit of the file is in the name's unit.
    """

    def __init__(self, name: str, files: Mapping[str, tuple[Path, float]]) -> None:
        self.name = name
        self._files = dict(files)

    def read(self) -> Reading:
        """See ``Probe.read``."""
        values = {}
        for name, (path, unit) in self._files.items():
            number = read_number(path)
            if number is not None:
                values[name] = number * unit
        return values

    def close(self) -> None:
        """See ``Probe.close``; files are opened for each reading."""


def read_number(path: Path) -> float | None:
    """The number in a file; None where it cannot be read or holds something else."""
    try:
        return float(path.read_text("ascii"))
    except (OSError, ValueError):
        return None
