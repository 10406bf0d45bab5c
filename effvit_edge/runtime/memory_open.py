"""The device, by whichever library for its memory is installed."""

from __future__ import annotations

import importlib

from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.core.optional import install_line
from effvit_edge.runtime.device_memory import DeviceMemory
from effvit_edge.runtime.memory_cuda import CudaBindingsMemory
from effvit_edge.runtime.memory_pycuda import PyCudaMemory
from effvit_edge.runtime.tuning import Waiting

_CUDA_BINDINGS, _PYCUDA = "cuda.bindings.runtime", "pycuda.driver"


def open_device_memory(index: int = 0, waiting: Waiting = "auto") -> DeviceMemory:
    """The device, by cuda-bindings where that is installed, or else by PyCUDA.

    Args:
        index: of those that CUDA shows to this process (``CUDA_VISIBLE_DEVICES`` chooses).
        waiting: how threads wait for it.

    Raises:
        EnvironmentFault: neither is, or one is and finds no such device or cannot wait so.
    """
    reasons = []
    for name, implementation in ((_CUDA_BINDINGS, CudaBindingsMemory), (_PYCUDA, PyCudaMemory)):
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            reasons.append(f"{name}: {error}")
            continue
        memory: DeviceMemory = implementation(module, index, waiting)
        return memory
    raise EnvironmentFault(
        "TensorRT needs a library for the device's memory, and neither cuda-bindings nor PyCUDA "
        f"loads ({'; '.join(reasons)}). Install, in the checkout: {install_line('tensorrt')}."
    )
