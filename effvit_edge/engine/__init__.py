"""From ONNX to TensorRT on the device itself: engines, their cache and the attention plugin.

Nothing here imports torch: a Jetson may have none.
"""

from effvit_edge.engine.build import BuildReport, build_engine, check_plan_name, find_engine
from effvit_edge.engine.open import open_engine
from effvit_edge.engine.options import EngineOptions

__all__ = [
    "BuildReport",
    "EngineOptions",
    "build_engine",
    "check_plan_name",
    "find_engine",
    "open_engine",
]
