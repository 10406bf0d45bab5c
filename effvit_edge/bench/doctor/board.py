"""The board, its software release, power mode, memory and disk."""

from __future__ import annotations

import re

from effvit_edge.bench.doctor.facts import Facts
from effvit_edge.bench.doctor.rows import Row, fine, missing, warning

_OLDEST_L4T = (36, 4)
"""JetPack 6.1, the first with TensorRT 10.3; 36.2 and 36.3 have TensorRT 8.6."""
_OLDEST_PYTHON_L4T = (36,)  # JetPack 5 has Python 3.8
_SMALL_BOARD_GIB = 8.5
_BUILD_NEEDS_GIB = 10.0
"""Memory and swap that building an engine should find: TensorRT's builder takes several GiB
beside the system's own two."""
_LEAST_FREE_GIB, _PLENTY_FREE_GIB = 1.0, 4.0
_FLASH = "Flash JetPack 6.2 or 7.2: docs/jetson.md"


def check_board(facts: Facts) -> Row:
    """What machine it is."""
    identity = facts.identity
    if identity.is_jetson:
        return fine("board", identity.model)
    return fine("board", f"{identity.model} ({identity.kind}, not a Jetson)")


def check_release(facts: Facts) -> Row | None:
    """A Jetson's L4T; one that is not known warns, since newer ones come."""
    identity = facts.identity
    if not identity.is_jetson:
        return None
    if identity.l4t is None:
        return warning(
            "L4T",
            "not told: /etc/nv_tegra_release is not here",
            "In a container add -v /etc/nv_tegra_release:/etc/nv_tegra_release:ro, as docker/run.sh"
            " does",
        )
    version = tuple(int(part) for part in identity.l4t.split("."))
    name = f"L4T {identity.l4t}"
    if identity.jetpack:
        name += f", JetPack {identity.jetpack}"
    if version < _OLDEST_PYTHON_L4T:
        return missing("L4T", f"{name}: its Python and TensorRT are too old", _FLASH)
    if version < _OLDEST_L4T:
        return warning("L4T", f"{name}: TensorRT before 10.3, so ONNX Runtime only", _FLASH)
    if identity.jetpack is None:
        return warning(
            "L4T",
            f"{name}, which this version does not know",
            "Go on; engines are built on the board itself. Known: JetPack 6.1 to 6.2.2 and 7.2",
        )
    return fine("L4T", name)


def check_power_mode(facts: Facts) -> Row | None:
    """A Jetson's mode by its name, against the fastest that the board's own file lists."""
    identity = facts.identity
    if not identity.is_jetson:
        return None
    power = identity.power
    if power is None or power.name is None:
        return warning("power mode", "not told", "sudo nvpmodel -q")
    fastest = power.fastest
    if fastest is None or power.active == fastest:
        return fine("power mode", power.name)
    return warning(
        "power mode",
        f"{power.name}; the fastest is {power.names[fastest]}",
        f"sudo nvpmodel -m {fastest}, if supply and cooling allow",
    )


def check_memory(facts: Facts) -> Row:
    """Memory and swap, against what building an engine takes."""
    sizes = _meminfo(facts)
    if "MemTotal" not in sizes:
        return warning("memory", "not told: /proc/meminfo cannot be read", "free -h")
    total, swap = sizes["MemTotal"], sizes.get("SwapTotal", 0.0)
    free = sizes.get("MemAvailable", 0.0)
    found = f"{total:.1f} GiB, {free:.1f} free, swap {swap:.1f}"
    tight = total < _SMALL_BOARD_GIB and total + swap < _BUILD_NEEDS_GIB
    if tight:
        return warning(
            "memory",
            f"{found}: little for building an engine",
            "sudo fallocate -l 4G /swapfile && sudo chmod 600 /swapfile && sudo mkswap /swapfile "
            "&& sudo swapon /swapfile",
        )
    return fine("memory", found)


def check_disk(facts: Facts) -> Row:
    """Room for engines and recordings."""
    if facts.free_bytes is None:
        found = "the current folder has been deleted or cannot be read"
        return missing("disk", found, "cd ~, or to another folder that is there")
    free = facts.free_bytes / 2**30
    found = f"{free:.1f} GiB free here"
    if free < _LEAST_FREE_GIB:
        return missing("disk", found, "Make room: df -h . tells what is full")
    if free < _PLENTY_FREE_GIB:
        return warning("disk", found, "Recordings and engines need more: df -h .")
    return fine("disk", found)


def _meminfo(facts: Facts) -> dict[str, float]:
    """GiB by name."""
    text = facts.root.read("proc/meminfo") or ""
    found = re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)
    return {name: int(kilobytes) / 2**20 for name, kilobytes in found}
