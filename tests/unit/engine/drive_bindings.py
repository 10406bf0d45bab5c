"""Run in a process of its own: ``drive_bindings MODULE``.

Drives the project's code over a version's real bindings as far as they go without TensorRT: its
own subclasses are made and called, and what cannot start says so in the project's own errors.
"""

from __future__ import annotations

import importlib
import sys

import numpy as np

from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.engine.builder import TensorRTBuilder, _make_monitor
from effvit_edge.engine.faults import BuildFault
from effvit_edge.runtime.trt_library import TensorRTLibrary, make_logger, make_profiler


def main() -> None:
    trt = importlib.import_module(sys.argv[1])
    said: list[str] = []
    logger = make_logger(trt, said.append)
    for severity in (trt.ILogger.ERROR, trt.ILogger.WARNING, trt.ILogger.INTERNAL_ERROR):
        logger.log(severity, str(severity))
    assert len(said) == 2, said
    told: list[tuple[str, float]] = []
    monitor = _make_monitor(trt, lambda phase, share: told.append((phase, share)))
    assert isinstance(monitor, trt.IProgressMonitor)
    monitor.phase_start("all", None, 2)
    assert monitor.step_complete("all", 0)
    monitor.phase_finish("all")
    assert told == [("all", 0), ("all", 0.5), ("all", 1)]
    layers: list[tuple[str, float]] = []
    profiler = make_profiler(trt, lambda name, ms: layers.append((name, ms)))
    assert isinstance(profiler, trt.IProfiler)
    profiler.report_layer_time("/a/Conv", 0.5)
    assert layers == [("/a/Conv", 0.5)]
    types = (trt.DataType.UINT8, trt.DataType.HALF, trt.DataType.FLOAT)
    assert [np.dtype(trt.nptype(t)).name for t in types] == ["uint8", "float16", "float32"]
    assert 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED) > 0
    if sys.argv[1] != "tensorrt_rtx":  # whose libraries are there, so it does start
        try:
            TensorRTBuilder(trt)
        except BuildFault as fault:
            assert fault.kind == "device"
        else:
            raise AssertionError("a builder without TensorRT")
        try:
            TensorRTLibrary(trt, "tensorrt").load(b"", "m.plan")
        except EnvironmentFault as fault:
            assert "TensorRT does not start on this machine" in str(fault), fault
        else:
            raise AssertionError("a runtime without TensorRT")
    sys.stdout.write(trt.__version__)


if __name__ == "__main__":
    main()
