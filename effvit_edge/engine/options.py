"""What can be chosen about a build."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from effvit_edge.core.errors import InputError
from effvit_edge.runtime.trt_library import Flavour

WeakPrecision = Literal["fp16", "int8"]
DEFAULT_WORKSPACE_MIB = 1024
"""A board's 8 GB are shared by all that runs on it."""
_MAX_LEVEL = 5


@dataclass(frozen=True)
class EngineOptions:
    """Choices of the builder; with the ONNX file and the machine they determine an engine."""

    workspace_mib: int = DEFAULT_WORKSPACE_MIB
    """What one layer's scratch memory may take of the device, in MiB."""
    optimization_level: int = 3
    """0 builds fastest, 5 searches longest."""
    tf32: bool = True
    """Whether float32 products may be rounded to TF32 where the device has it."""
    weak_precision: WeakPrecision | None = None
    """Leave it to TensorRT 10 where to use a lower precision, instead of to the ONNX file. Only
    for comparing with: TensorRT 11 has no such builds."""
    flavour: Flavour = "tensorrt"

    def __post_init__(self) -> None:
        """Refuse what TensorRT would clip or misread."""
        if self.workspace_mib < 1:
            raise InputError(f"The workspace must be at least 1 MiB, got {self.workspace_mib}.")
        if not 0 <= self.optimization_level <= _MAX_LEVEL:
            raise InputError(
                f"The optimization level is 0 to {_MAX_LEVEL}, got {self.optimization_level}."
            )
