"""From a network to an ONNX file that carries its card and is held to the network's own answers.

What needs torch is imported when it is asked for: one ONNX file is made from another without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from effvit_edge.core.comparison import Comparison
from effvit_edge.core.limits import FP32_LIMIT

if TYPE_CHECKING:
    from effvit_edge.export.onnx import (
        Exported,
        ExportReport,
        build_onnx,
        export_graph,
        export_onnx,
    )
    from effvit_edge.export.presets import random_preset

__all__ = [
    "FP32_LIMIT",
    "Comparison",
    "ExportReport",
    "Exported",
    "build_onnx",
    "export_graph",
    "export_onnx",
    "random_preset",
]
_HOMES = {
    "ExportReport": "onnx",
    "Exported": "onnx",
    "build_onnx": "onnx",
    "export_graph": "onnx",
    "export_onnx": "onnx",
    "random_preset": "presets",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
