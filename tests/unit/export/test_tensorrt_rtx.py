"""A TensorRT parser and builder that needs no GPU takes the graphs; its wheel is x86-64 only."""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.export.networks import EVERYWHERE, IMAGE, L1, Exported, clip, stream


@pytest.fixture(scope="module")
def trt() -> Any:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("the TensorRT-RTX wheel of the tests is for x86-64 Linux")
    return importlib.import_module("tensorrt_rtx")


@pytest.mark.parametrize(
    "make",
    [
        lambda: stream(),
        lambda: stream(batch=2, window=2, temporal_kernels=EVERYWHERE),
        lambda: stream(IMAGE),
        lambda: stream(L1, num_frames=2),
        lambda: clip(),
        lambda: clip(batch=2, causal=True),
        lambda: clip(L1),
    ],
    ids=["b0 stream", "b0 cameras", "b0 image", "l1 stream", "b0 clip", "b0 clips", "l1 clip"],
)
def test_it_parses_and_builds(trt: Any, make: Callable[[], Exported]) -> None:
    proto = make().proto
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    parsed = parser.parse(proto.SerializeToString())
    assert parsed, [parser.get_error(i).desc() for i in range(parser.num_errors)]
    assert network.num_inputs == len(proto.graph.input)
    assert network.num_outputs == len(proto.graph.output)
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    assert plan is not None and plan.nbytes > 0
