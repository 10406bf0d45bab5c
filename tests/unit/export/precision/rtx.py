"""Building a plan with TensorRT-RTX, which needs no GPU."""

from __future__ import annotations

import importlib
import platform
import sys
from pathlib import Path

import pytest


def build(path: Path) -> int:
    """Parse and build, strongly typed; the plan's size in bytes."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("the TensorRT-RTX wheel of the tests is for x86-64 Linux")
    trt = importlib.import_module("tensorrt_rtx")
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    parsed = parser.parse(path.read_bytes())
    assert parsed, [parser.get_error(i).desc() for i in range(parser.num_errors)]
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    assert plan is not None
    return int(plan.nbytes)
