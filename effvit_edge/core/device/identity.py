"""Which board or computer this is, its L4T and JetPack, and its power modes by name."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from typing import Literal

from effvit_edge.core.device.root import DeviceRoot

Kind = Literal["jetson", "x86", "arm64", "other"]

JETPACKS = {
    "35.1.0": "5.0.2",
    "35.2.1": "5.1",
    "35.3.1": "5.1.1",
    "35.4.1": "5.1.2",
    "35.5.0": "5.1.3",
    "35.6.0": "5.1.4",
    "36.3.0": "6.0",
    "36.4.0": "6.1",
    "36.4.3": "6.2",
    "36.4.4": "6.2.1",
    "36.4.7": "6.2.1",
    "36.5.0": "6.2.2",
    "39.2.0": "7.2",
}
"""L4T to JetPack, by NVIDIA's JetPack archive (developer.nvidia.com/embedded/jetpack-archive) and
the table of jetson_stats."""
_TEGRA_RELEASE = re.compile(r"# R(\d+) \(release\), REVISION: ([\d.]+)")
_MODE = re.compile(r"^\s*<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", re.MULTILINE)
_ACTIVE_MODE = re.compile(r"pmode:0*(\d+)")
_KINDS: dict[str, Kind] = {"x86_64": "x86", "aarch64": "arm64"}


@dataclass(frozen=True)
class PowerModes:
    """The modes of a board. Names are what counts: mode 0 is not the fastest on every board."""

    names: dict[int, str]
    """By number, from the board's own ``nvpmodel.conf``."""
    active: int | None

    @property
    def name(self) -> str | None:
        """Of the active mode."""
        return None if self.active is None else self.names.get(self.active, f"mode {self.active}")

    @property
    def fastest(self) -> int | None:
        """The number of the mode without caps, or of the most watts; None where none is known."""
        return max(self.names, key=lambda number: _rank(self.names[number]), default=None)


@dataclass(frozen=True)
class Identity:
    """What a machine is."""

    kind: Kind
    model: str
    """The board's own name, or the processor's."""
    l4t: str | None = None
    """``36.4.3``; None where there is no L4T, or in a container that does not show it."""
    power: PowerModes | None = None

    @property
    def is_jetson(self) -> bool:
        """Whether the device itself says that it is one."""
        return self.kind == "jetson"

    @property
    def jetpack(self) -> str | None:
        """``6.2``; None of an L4T that is not known."""
        return JETPACKS.get(self.l4t) if self.l4t else None


def identify(root: DeviceRoot | None = None, machine: str | None = None) -> Identity:
    """Read what this machine is.

    Only ``/proc/device-tree/model`` makes a machine a Jetson: results are called a Jetson's by it.

    Args:
        root: where the device's files lie.
        machine: the processor's architecture as the kernel calls it; this one's by default.
    """
    root = root or DeviceRoot()
    model = root.read("proc/device-tree/model")
    if model and _is_jetson(model):
        return Identity("jetson", model, _l4t(root), _power_modes(root))
    kind = _KINDS.get(machine or platform.machine(), "other")
    return Identity(kind, model or _processor(root) or kind)


def _is_jetson(model: str) -> bool:
    return "jetson" in model.lower() or re.search(r"\borin\b", model.lower()) is not None


def _l4t(root: DeviceRoot) -> str | None:
    found = _TEGRA_RELEASE.search(root.read("etc/nv_tegra_release") or "")
    return f"{found[1]}.{found[2]}" if found else None


def _power_modes(root: DeviceRoot) -> PowerModes | None:
    modes = {int(number): name for number, name in _MODE.findall(_conf(root))}
    active = _ACTIVE_MODE.search(root.read("var/lib/nvpmodel/status") or "")
    if not modes and not active:
        return None
    return PowerModes(modes, int(active[1]) if active else None)


def _conf(root: DeviceRoot) -> str:
    return root.read("etc/nvpmodel.conf") or ""


def _rank(name: str) -> float:
    """The more, the faster: ``MAXN`` has no caps, else watts tell."""
    if name.upper().startswith("MAXN"):
        return float("inf")
    watts = re.search(r"(\d+)W", name.upper())
    return float(watts[1]) if watts else 0.0


def _processor(root: DeviceRoot) -> str | None:
    found = re.search(r"^model name\s*:\s*(.+)$", root.read("proc/cpuinfo") or "", re.MULTILINE)
    return found[1].strip() if found else None
