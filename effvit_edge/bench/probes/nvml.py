"""An NVIDIA GPU of a computer, through NVML (the package nvidia-ml-py)."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Mapping
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
from effvit_edge.bench.probes.visible import first_visible, text
from effvit_edge.core.optional import install_line

_MILLI, _MEBI = 1e-3, 2**20
_SLOWED = (
    "SwPowerCap",
    "HwSlowdown",
    "SwThermalSlowdown",
    "HwThermalSlowdown",
    "HwPowerBrakeSlowdown",
)
"""Reasons for lower clocks that taint a run; idling and application clocks do not. By the end of
the names of ``nvmlClocksThrottleReason…``, which versions 11.450 to 13.615 have."""


class Nvml:
    """Power, energy, clocks, temperature, memory and throttling of the GPU that models run on.

    That is the first which CUDA shows this process.

    Args:
        library: stands in for ``pynvml``.
        environment: variables by name; this process's by default.

    Raises:
        OSError: there is no NVML, no driver, or it is not known which GPU; it says why.
    """

    def __init__(
        self, library: ModuleType | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        try:
            self._nvml: Any = library or importlib.import_module("pynvml")
        except ImportError as error:
            raise OSError(
                f"nvidia-ml-py is not installed; in the checkout: {install_line('nvml')}"
            ) from error
        try:
            self._nvml.nvmlInit()
            self._gpu = first_visible(
                self._nvml, os.environ if environment is None else environment
            )
            self.name = f"NVML, {text(self._nvml.nvmlDeviceGetName(self._gpu))}"
        except self._nvml.NVMLError as error:
            self.close()
            raise OSError(f"NVML does not work: {error}") from error
        except OSError:
            self.close()
            raise
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
            f"{MEMORY}.gpu": lambda: nvml.nvmlDeviceGetMemoryInfo(gpu).used / _MEBI,
            f"{THROTTLED}.gpu": self._count_throttled,
        }
        values = {}
        for name, call in calls.items():
            # Neither every GPU nor every version tells everything.
            with contextlib.suppress(AttributeError, nvml.NVMLError):
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
        masks = [getattr(self._nvml, f"nvmlClocksThrottleReason{name}") for name in _SLOWED]
        self._throttled += any(reasons & mask for mask in masks)
        return self._throttled
