"""An NVIDIA GPU of a computer, through NVML (the package nvidia-ml-py)."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from effvit_edge.bench.probes.base import (
    CLOCK,
    ENERGY,
    MEMORY,
    POWER,
    TEMPERATURE,
    THROTTLED,
    Reading,
)

_MILLI = 1e-3
_SLOWED = ("SwPowerCap", "HwSlowdown", "SwThermalSlowdown", "HwThermalSlowdown", "HwPowerBrake")
"""Reasons for lower clocks that taint a run; idling and application clocks do not."""


class Nvml:
    """Power, energy, clocks, temperature, memory and throttling of one GPU.

    Args:
        index: of the GPU.
        library: stands in for ``pynvml``.

    Raises:
        OSError: there is no NVML, no driver, or no such GPU; it says which.
    """

    def __init__(self, index: int = 0, library: ModuleType | None = None) -> None:
        try:
            self._nvml: Any = library or importlib.import_module("pynvml")
        except ImportError as error:
            raise OSError("nvidia-ml-py is not installed") from error
        try:
            self._nvml.nvmlInit()
            self._gpu = self._nvml.nvmlDeviceGetHandleByIndex(index)
            self.name = f"NVML, {_text(self._nvml.nvmlDeviceGetName(self._gpu))}"
        except self._nvml.NVMLError as error:
            raise OSError(f"NVML does not work: {error}") from error
        self._throttled = 0

    def read(self) -> Reading:
        """See ``Probe.read``."""
        nvml, gpu = self._nvml, self._gpu
        calls: dict[str, Callable[[], float]] = {
            f"{POWER}.gpu": lambda: nvml.nvmlDeviceGetPowerUsage(gpu) * _MILLI,
            f"{ENERGY}.gpu": lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(gpu) * _MILLI,
            f"{CLOCK}.gpu": lambda: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM),
            f"{CLOCK}.memory": lambda: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM),
            f"{TEMPERATURE}.gpu": lambda: nvml.nvmlDeviceGetTemperature(
                gpu, nvml.NVML_TEMPERATURE_GPU
            ),
            f"{MEMORY}.gpu": lambda: nvml.nvmlDeviceGetMemoryInfo(gpu).used / 1e6,
            f"{THROTTLED}.gpu": self._count_throttled,
        }
        values = {}
        for name, call in calls.items():
            with contextlib.suppress(nvml.NVMLError):  # not every GPU tells everything
                values[name] = float(call())
        return values

    def close(self) -> None:
        """See ``Probe.close``."""
        if self._nvml is not None:
            with contextlib.suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()
            self._nvml = None

    def _count_throttled(self) -> float:
        """How many readings so far found it slowed down."""
        reasons = self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons(self._gpu)
        masks = [getattr(self._nvml, f"nvmlClocksThrottleReason{name}", 0) for name in _SLOWED]
        self._throttled += any(reasons & mask for mask in masks)
        return self._throttled


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
