"""Sensors that the kernel shows as files, on a Jetson and on a computer."""

from __future__ import annotations

from effvit_edge.bench.probes.base import (
    CLOCK,
    ENERGY,
    POWER,
    TEMPERATURE,
    THROTTLED,
    FileProbe,
    Reading,
    read_number,
)
from effvit_edge.core.device import DeviceRoot

_MILLI, _MICRO = 1e-3, 1e-6
_HZ_TO_MHZ, _KHZ_TO_MHZ = 1e-6, 1e-3


class Ina3221:
    """A Jetson's power monitor: volts times amperes of each rail.

    The driver has moved between JetPacks; its rails are known by their labels. ``VDD_IN`` is the
    whole module's on an Orin Nano; a rail called a sum of others is left out.

    Args:
        root: where the device's files lie.
    """

    name = "INA3221"

    def __init__(self, root: DeviceRoot) -> None:
        self._rails = {}
        for label in root.find("sys/bus/i2c/drivers/ina3221*/*/hwmon/hwmon*/in*_label"):
            number = label.name.removeprefix("in").removesuffix("_label")
            rail = root.read(root.name_of(label))
            if rail and "sum" not in rail.lower():
                volts = label.with_name(f"in{number}_input")
                self._rails[rail] = volts, label.with_name(f"curr{number}_input")

    def read(self) -> Reading:
        """See ``Probe.read``."""
        values = {}
        for rail, (volts, amperes) in self._rails.items():
            millivolts, milliamperes = read_number(volts), read_number(amperes)
            if millivolts is not None and milliamperes is not None:
                values[f"{POWER}.{rail}"] = millivolts * _MILLI * milliamperes * _MILLI
        return values

    def close(self) -> None:
        """See ``Probe.close``."""


def temperatures(root: DeviceRoot) -> FileProbe:
    """Thermal zones, by their types."""
    files = {}
    for path in root.find("sys/class/thermal/thermal_zone*/temp"):
        zone = root.read(root.name_of(path.with_name("type"))) or path.parent.name
        files[f"{TEMPERATURE}.{zone}"] = path, _MILLI
    return FileProbe("thermal zones", files)


def clocks(root: DeviceRoot) -> FileProbe:
    """The cores' clocks, and those of GPU and memory where the kernel scales them."""
    files = {}
    for path in root.find("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"):
        files[f"{CLOCK}.{path.parent.parent.name}"] = path, _KHZ_TO_MHZ
    for path in root.find("sys/class/devfreq/*/cur_freq"):
        device = path.parent.name
        name = "gpu" if device.endswith((".gpu", ".ga10b", ".gv11b")) else device
        files[f"{CLOCK}.{name}"] = path, _HZ_TO_MHZ
    return FileProbe("cpufreq and devfreq", files)


def throttling(root: DeviceRoot) -> FileProbe:
    """Counters of how often heat or the supply slowed the chip down.

    On a Jetson Orin ``oc1`` is low voltage, ``oc2`` average and ``oc3`` momentary over-current
    (NVIDIA's developer guide, "Platform Power and Performance").
    """
    files = {
        f"{THROTTLED}.{path.name.removesuffix('_event_cnt')}": (path, 1.0)
        for path in root.find("sys/class/hwmon/hwmon*/oc*_event_cnt")
    }
    for path in root.find("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count"):
        files[f"{THROTTLED}.{path.parent.parent.name}"] = path, 1.0
    return FileProbe("throttle counters", files)


def rapl(root: DeviceRoot) -> FileProbe:
    """Energy counters of a computer's processor; only root may read them on most systems."""
    files = {}
    for path in root.find("sys/class/powercap/intel-rapl:[0-9]*/energy_uj"):
        package = root.read(root.name_of(path.with_name("name"))) or path.parent.name
        if package.startswith(("package", "psys")):
            files[f"{ENERGY}.{package}"] = path, _MICRO
    return FileProbe("RAPL", files)
