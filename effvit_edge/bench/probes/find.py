"""Which probes work on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from effvit_edge.bench.probes import jtop, sysfs
from effvit_edge.bench.probes.base import Probe
from effvit_edge.bench.probes.memory import ProcessMemory
from effvit_edge.bench.probes.nvml import Nvml
from effvit_edge.bench.probes.tegrastats import Tegrastats
from effvit_edge.core.device import DeviceRoot, Identity

_JTOP_HAS = {sysfs.Ina3221.name, "thermal zones", "cpufreq and devfreq", Tegrastats.name}


@dataclass(frozen=True)
class Found:
    """What can be read here, and what cannot."""

    probes: list[Probe]
    """Of a value that several have, the last one's counts."""
    absent: dict[str, str]
    """Why the others cannot be read, by name."""

    def close(self) -> None:
        """Close every probe."""
        for probe in self.probes:
            probe.close()


def find_probes(identity: Identity, root: DeviceRoot | None = None) -> Found:
    """Open every probe that gives something on this machine.

    Args:
        identity: of the machine: a Jetson's power is not where a computer's is.
        root: where the device's files lie.
    """
    root = root or DeviceRoot()
    files: list[Probe] = [
        ProcessMemory(root),
        sysfs.temperatures(root),
        sysfs.clocks(root),
        sysfs.throttling(root),
        sysfs.Ina3221(root) if identity.is_jetson else sysfs.rapl(root),
    ]
    tools: dict[str, Callable[[], Probe]] = {"NVML": Nvml}
    if identity.is_jetson:
        tools = {Tegrastats.name: Tegrastats}
    probes = [probe for probe in files if probe.read()]
    absent = {probe.name: "no file that can be read" for probe in files if probe not in probes}
    for name, start in tools.items():
        try:
            probes.append(start())
        except OSError as error:
            absent[name] = str(error)
    # Only where something is missing: its service works while it is asked, beside what is measured.
    if identity.is_jetson and absent.keys() & _JTOP_HAS:
        try:
            probes.insert(0, jtop.Jtop(root))
        except OSError as error:
            absent[jtop.Jtop.name] = str(error)
    return Found(probes, absent)
