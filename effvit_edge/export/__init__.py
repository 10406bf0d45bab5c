"""From a network to an ONNX file that carries its card and is held to the network's own answers."""

from effvit_edge.core.comparison import Comparison
from effvit_edge.export.onnx import ExportReport, build_onnx, check_output, export_onnx
from effvit_edge.export.presets import random_preset
from effvit_edge.export.verify import FP32_LIMIT

__all__ = [
    "FP32_LIMIT",
    "Comparison",
    "ExportReport",
    "build_onnx",
    "check_output",
    "export_onnx",
    "random_preset",
]
