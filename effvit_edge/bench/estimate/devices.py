"""What devices can do at best, from their makers' documents, and how near to it graphs come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class DeviceRates:
    """A device in one power mode.

    Rates are peaks. Layers reach a share of them, which is one number for all layers and one for
    memory, fitted to published times of 2D EfficientViT (benchmarks/estimate).
    """

    name: str
    gigabytes_per_second: float
    teraflops: Mapping[str, float]
    """By precision, dense (no sparsity), a multiply-accumulate being two operations."""
    source: str
    launch_microseconds: float
    """Between one kernel and the next, as fitted."""
    compute_share: float
    """Of the peak rate that layers reach, as fitted."""
    memory_share: float
    """Of the peak bandwidth that layers reach, as fitted."""


_ORIN_GUIDE = "NVIDIA Jetson Orin Nano and AGX Orin data sheets; FP16 is half of INT8, dense"

# Fitted by benchmarks/estimate, 2026-11-20.
_ORIN = {"launch_microseconds": 6.0, "compute_share": 0.165, "memory_share": 0.558}
ERRORS = (
    "fitted to published times of three 2D EfficientViT on an AGX Orin, within 3 %; with the same "
    "shares it is 36 % below to 7 % above those of a Jetson Nano of 2019; no Orin Nano was at hand"
)
"""How far off it was (benchmarks/estimate)."""

DEVICES = {
    device.name: device
    for device in (
        DeviceRates(
            "orin-nano",
            102.0,
            {"fp32": 2.1, "fp16": 17.0, "int8": 33.0},
            f"MAXN_SUPER, 8 GB: {_ORIN_GUIDE}",
            **_ORIN,
        ),
        DeviceRates(
            "orin-nano-15w",
            68.0,
            {"fp32": 1.28, "fp16": 10.0, "int8": 20.0},
            f"15W: {_ORIN_GUIDE}",
            **_ORIN,
        ),
        DeviceRates(
            "agx-orin",
            204.8,
            {"fp32": 5.3, "fp16": 42.5, "int8": 85.0},
            f"64 GB, MAXN, GPU without DLA: {_ORIN_GUIDE}",
            **_ORIN,
        ),
        DeviceRates(
            "jetson-nano",
            25.6,
            {"fp32": 0.236, "fp16": 0.472, "int8": 0.236},
            "the board of 2019, Maxwell: NVIDIA Jetson Nano data sheet",
            **_ORIN,
        ),
    )
}
