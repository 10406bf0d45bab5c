"""Opening an engine with what it needs: the attention plugin, where it was built with it."""

from __future__ import annotations

from pathlib import Path

from effvit_edge.core.errors import EnvironmentFault, IncompatibleArtifact
from effvit_edge.engine.plugin.find import look_for_plugin
from effvit_edge.engine.plugin.python_plugin import register_plugins
from effvit_edge.runtime.base import Session
from effvit_edge.runtime.sidecar import PlanSidecar
from effvit_edge.runtime.trt import open_plan
from effvit_edge.runtime.trt_library import PlanLibrary
from effvit_edge.runtime.tuning import DEFAULT, Tuning


def open_engine(
    path: Path,
    *,
    sidecar: PlanSidecar | None = None,
    device: int = 0,
    tuning: Tuning = DEFAULT,
) -> Session:
    """Load an engine that fits this machine; see ``runtime.trt.open_plan`` for what it raises.

    Args:
        path: the plan.
        sidecar: instead of the one beside it.
        device: which of CUDA's devices, by its number.
        tuning: how it runs.
    """
    register = register_attention
    return open_plan(path, register=register, sidecar=sidecar, device=device, tuning=tuning)


def register_attention(library: PlanLibrary, sources: str) -> object:
    """Make the attention plugin known to TensorRT.

    Args:
        library: TensorRT.
        sources: the hash of those that the engine's plugin was built from.

    Returns:
        What must be kept as long as the engine runs.

    Raises:
        EnvironmentFault: the plugin is not built here.
        IncompatibleArtifact: it is built from other sources.
    """
    report = look_for_plugin()
    if not report.available:
        raise EnvironmentFault(f"The engine needs the attention plugin. {report.reason}")
    if report.sources != sources:
        raise IncompatibleArtifact(
            f"The engine was built with the attention plugin {sources}, and this version's is "
            f"{report.sources}. Build the engine again from its ONNX file."
        )
    return register_plugins(library.module, report)
