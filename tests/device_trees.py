"""Device files as they lie on real boards, in a folder that stands for ``/``.

The contents follow what owners of these boards have published: jetson_stats' readers, NVIDIA's
nvpmodel files and JetPack's package lists (versions: docs of JetPack 5.1.4, 6.2 and 7.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from effvit_edge.core.device import DeviceRoot

ORIN_NANO = "NVIDIA Jetson Orin Nano Developer Kit\0"
ORIN_NANO_SUPER = "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0"

SUPER_CONF = """\
#
# Model-specific configuration
< PARAM TYPE=FILE NAME=CPU_ONLINE >
CORE_0 /sys/devices/system/cpu/cpu0/online
< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
GPU MAX_FREQ 612000000
< POWER_MODEL ID=1 NAME=25W >
CPU_ONLINE CORE_0 1
GPU MAX_FREQ 918000000
< POWER_MODEL ID=2 NAME=MAXN_SUPER >
CPU_ONLINE CORE_0 1
GPU MAX_FREQ -1
< PM_CONFIG DEFAULT=1 >
"""
PLAIN_CONF = """\
< POWER_MODEL ID=0 NAME=15W >
GPU MAX_FREQ 625000000
< POWER_MODEL ID=1 NAME=7W >
GPU MAX_FREQ 408000000
< PM_CONFIG DEFAULT=0 >
"""


def meminfo(total_gib: float, swap_gib: float) -> str:
    def kilobytes(gib: float) -> int:
        return int(gib * 2**20)

    return (
        f"MemTotal:       {kilobytes(total_gib)} kB\n"
        f"MemFree:         {kilobytes(1)} kB\n"
        f"MemAvailable:    {kilobytes(total_gib / 2)} kB\n"
        f"SwapTotal:       {kilobytes(swap_gib)} kB\n"
    )


def release(number: int, revision: str) -> str:
    return (
        f"# R{number} (release), REVISION: {revision}, GCID: 38968081, BOARD: generic, "
        "EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025\n# KERNEL_VARIANT: oot\n"
    )


def cuda(version: str) -> str:
    return f'{{"cuda": {{"name": "CUDA SDK", "version": "{version}"}}}}'


LIBRARIES = "usr/lib/aarch64-linux-gnu"
JETPACK_5 = {
    "proc/device-tree/model": ORIN_NANO,
    "etc/nv_tegra_release": release(35, "6.0"),
    "etc/nvpmodel.conf": PLAIN_CONF,
    "var/lib/nvpmodel/status": "pmode:0000",
    "proc/meminfo": meminfo(7.2, 3.6),
    "usr/local/cuda/version.json": cuda("11.4.19"),
    f"{LIBRARIES}/libnvinfer.so.8.5.2": "",
    f"{LIBRARIES}/libcudnn.so.8.6.0": "",
    "tmp/argus_socket": "",
}
JETPACK_62 = {
    "proc/device-tree/model": ORIN_NANO_SUPER,
    "etc/nv_tegra_release": release(36, "4.3"),
    "etc/nvpmodel.conf": SUPER_CONF,
    "var/lib/nvpmodel/status": "pmode:0002",
    "proc/meminfo": meminfo(7.4, 3.7),
    "usr/local/cuda/version.json": cuda("12.6.68"),
    f"{LIBRARIES}/libnvinfer.so.10": "",
    f"{LIBRARIES}/libnvinfer.so.10.3.0": "",
    f"{LIBRARIES}/libcudnn.so.9": "",
    f"{LIBRARIES}/libcudnn.so.9.3.0": "",
    "tmp/argus_socket": "",
    "dev/video0": "",
    "sys/class/video4linux/video0/name": "vi-output, imx219 9-0010\n",
}
JETPACK_72 = {
    **JETPACK_62,
    "etc/nv_tegra_release": release(39, "2.0"),
    "usr/local/cuda/version.json": cuda("13.2.1"),
    f"{LIBRARIES}/libnvinfer.so.10.16.2": "",
    f"{LIBRARIES}/libcudnn.so.9.20.0": "",
}
COMPUTER = {
    "proc/cpuinfo": "processor\t: 0\nmodel name\t: AMD EPYC 9B14\nprocessor\t: 1\n",
    "proc/meminfo": meminfo(15.5, 0),
}
COMPUTER_WITH_GPU = {
    **COMPUTER,
    "proc/driver/nvidia/version": (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.133.20  Sun Mar 30 03:55:14 UTC 2025\n"
        "GCC version:  gcc version 12.3.0\n"
    ),
}


def tree(folder: Path, files: Mapping[str, str]) -> DeviceRoot:
    """Write the files below a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return DeviceRoot(folder)
