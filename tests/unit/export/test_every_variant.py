"""Every variant, exported at a small size: the rules, ONNX Runtime's answers, TensorRT's plan."""

from __future__ import annotations

import importlib
import platform
import sys
from pathlib import Path
from typing import Any

import pytest

from effvit_edge.core.card import Mode
from effvit_edge.export import ExportReport, export_onnx
from tests.unit.export.networks import make_model

VARIANTS = ("b0", "b1", "b2", "b3", "l1", "l2", "l3")
KINDS: dict[str, tuple[str, Mode, dict[str, Any]]] = {
    "stream": ("efficientvit3d", "stream", {"num_frames": 2, "causal": True}),
    "clip": ("efficientvit3d", "clip", {"num_frames": 3}),
    "image": ("efficientvit", "stream", {}),
}

pytestmark = pytest.mark.slow


def _export(variant: str, kind: str, folder: Path) -> ExportReport:
    """Export one variant through the gate, which compares ONNX Runtime with torch."""
    prefix, mode, settings = KINDS[kind]
    model, card = make_model(f"{prefix}_{variant}", **settings)
    return export_onnx(model, card, folder / "model.onnx", mode=mode)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_graph_answers_like_the_network(variant: str, kind: str, tmp_path: Path) -> None:
    comparison = _export(variant, kind, tmp_path).comparison
    assert comparison.answers > 0
    assert comparison.max_abs <= 1e-4
    assert comparison.top1_agreement == 1.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_tensorrt_builds_a_plan(variant: str, kind: str, tmp_path: Path) -> None:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("the TensorRT-RTX wheel of the tests is for x86-64 Linux")
    trt = importlib.import_module("tensorrt_rtx")
    path = _export(variant, kind, tmp_path).path
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    parsed = parser.parse(path.read_bytes())
    assert parsed, [parser.get_error(i).desc() for i in range(parser.num_errors)]
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    assert plan is not None and plan.nbytes > 0
