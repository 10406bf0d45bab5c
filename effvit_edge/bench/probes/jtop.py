"""A Jetson's sensors through jtop (the package jetson-stats), where it is installed.

Its service reads as root, and also for a container that is given ``/run/jtop.sock``. Dictionaries
and units are those of jetson-stats 4.2, 4.3 and 7.2.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from effvit_edge.bench.probes.base import CLOCK, MEMORY, POWER, TEMPERATURE, Reading
from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.device import DeviceRoot

INTERVAL_SECONDS = 1.0
"""Not shorter: for each reading its service starts two processes."""
START_SECONDS, STALE_SECONDS = 10.0, 5.0
_LOAD = "load_percent"
_MILLI, _KHZ_TO_MHZ = 1e-3, 1e-3
_KIB_TO_MB = 1 / 1024  # its kB are of 1024 bytes
_USB_SUPPLY = "ucsi-source-psy-"

_Pairs = Iterator[tuple[str, float | None]]


class Jtop:
    """Power, temperatures, clocks, load and memory, as its service last read them.

    Rails and zones have the names that the kernel gives them. A total that is a sum of rails is
    left out, and so are USB supplies, which tell what was agreed upon and not what flows.

    Args:
        root: where the device's files lie.
        clock: tells the time.
        library: stands in for ``jtop``.

    Raises:
        OSError: it is not installed, or its service does not run; it says which.
    """

    name = "jtop"

    def __init__(
        self,
        root: DeviceRoot | None = None,
        clock: Clock | None = None,
        library: ModuleType | None = None,
    ) -> None:
        root = root or DeviceRoot()
        self._clock = clock or MonotonicClock()
        self._zones = _zones(root)
        found = root.find("sys/class/power_supply/*")
        self._supplies = {path.name.removeprefix(_USB_SUPPLY) for path in found}
        self._uptime: object = None
        self._changed = 0.0
        self._updates = 0
        self._jetson = _started(library)

    def read(self) -> Reading:
        """See ``Probe.read``."""
        values: dict[str, float] = {}
        for kind in (self._power, self._temperatures, self._cores, self._gpu, self._memory):
            with contextlib.suppress(Exception):  # another version's may look different
                if self._is_fresh():
                    values.update((name, value) for name, value in kind() if value is not None)
        return values

    def close(self) -> None:
        """See ``Probe.close``."""
        jetson, self._jetson = self._jetson, None
        with contextlib.suppress(Exception):
            jetson.close()
            jetson.join(timeout=2)

    def _is_fresh(self) -> bool:
        """Whether its service still reads: where it stopped, jtop goes on telling the last."""
        if self._jetson is None or not self._jetson.is_alive():
            return False
        uptime, now = self._jetson.uptime, self._clock.now()
        if uptime != self._uptime:
            self._uptime, self._changed = uptime, now
            self._updates += 1
        return now - self._changed <= STALE_SECONDS

    def _power(self) -> _Pairs:
        power = self._jetson.power
        total = power.get("tot", {})
        # The rail that is the whole module's is named there and is not among the rails.
        module = {total["name"]: total} if "name" in total else {}
        for rail, values in {**power.get("rail", {}), **module}.items():
            if values.get("online", True) and rail not in self._supplies:
                yield f"{POWER}.{rail}", _number(values, "power", _MILLI)

    def _temperatures(self) -> _Pairs:
        for zone, values in self._jetson.temperature.items():
            if values.get("online"):  # one that is off has -256
                yield f"{TEMPERATURE}.{self._zones.get(zone, zone)}", _number(values, "temp")

    def _cores(self) -> _Pairs:
        for number, core in enumerate(self._jetson.cpu["cpu"]):
            if not core.get("online"):
                continue
            yield f"{CLOCK}.cpu{number}", _number(core.get("freq", {}), "cur", _KHZ_TO_MHZ)
            busy = [_number(core, share) for share in ("user", "nice", "system")]
            if self._updates > 1:  # the first are of the time since the start of the system
                yield f"{_LOAD}.cpu{number}", sum(share or 0.0 for share in busy)

    def _gpu(self) -> _Pairs:
        for gpu in self._jetson.gpu.values():
            # By NVML a clock is in MHz or kHz, and an unknown load is 0.
            if gpu.get("type") == "integrated" and gpu.get("power_control") != "nvml":
                yield f"{CLOCK}.gpu", _number(gpu.get("freq", {}), "cur", _KHZ_TO_MHZ)
                yield f"{_LOAD}.gpu", _number(gpu.get("status", {}), "load")

    def _memory(self) -> _Pairs:
        memory = self._jetson.memory
        ram, emc = memory.get("RAM", {}), memory.get("EMC", {})
        yield f"{MEMORY}.system", _number(ram, "used", _KIB_TO_MB)
        yield f"{MEMORY}.swap", _number(memory.get("SWAP", {}), "used", _KIB_TO_MB)
        if ram.get("shared"):  # 0 where the kernel does not tell
            yield f"{MEMORY}.gpu", _number(ram, "shared", _KIB_TO_MB)
        if emc.get("cur", 0) > 1:  # 1 where the clock cannot be read; the load is of it
            yield f"{CLOCK}.emc", _number(emc, "cur", _KHZ_TO_MHZ)
            yield f"{_LOAD}.emc", _number(emc, "val")


def _started(library: ModuleType | None) -> Any:
    """A jtop that has its first values."""
    try:
        module: Any = library or importlib.import_module("jtop")
        jetson = module.jtop(INTERVAL_SECONDS)
    except ImportError as error:
        raise OSError(f"optional, and not installed: {_line(error)}") from error
    except Exception as error:
        raise OSError(f"does not start: {_line(error)}") from error
    # In a thread, since a service that hangs keeps it waiting for ever.
    failures: list[Exception] = []
    starting = threading.Thread(target=_start, args=(jetson, failures), name="jtop", daemon=True)
    starting.start()
    starting.join(START_SECONDS)
    if starting.is_alive():
        jetson._controller = None  # else it asks without a pause, beside what is measured
        raise OSError(f"its service does not answer within {START_SECONDS:g} s")
    if failures:
        raise OSError(f"does not start: {_line(failures[0])}") from failures[0]
    return jetson


def _start(jetson: Any, failures: list[Exception]) -> None:
    try:
        jetson.start()
        _ = jetson.board  # waits for the processes by which it looks for libraries
    except Exception as error:
        failures.append(error)


def _zones(root: DeviceRoot) -> dict[str, str]:
    """Thermal zones by the names of jtop, which are their types up to the first dash."""
    kinds = [
        root.read(root.name_of(path)) for path in root.find("sys/class/thermal/thermal_zone*/type")
    ]
    by_name = [(kind.partition("-" if "-" in kind else "_")[0], kind) for kind in kinds if kind]
    often = Counter(name for name, _ in by_name)
    return {name: kind for name, kind in by_name if often[name] == 1}  # others it numbers


def _number(values: Mapping[str, Any], name: str, unit: float = 1.0) -> float | None:
    number = values.get(name)
    return number * unit if isinstance(number, (int, float)) else None


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
