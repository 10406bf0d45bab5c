"""Layers and multiply-accumulates of a file against torch's own count, and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from effvit_edge.core.card import Mode
from effvit_edge.core.onnx_header import read_onnx_header
from effvit_edge.core.onnx_layers import LayerCount, LayerSummary, summarize_layers
from effvit_edge.export import build_onnx, random_preset
from effvit_edge.nn.summary import summarize

SIZE, FRAMES = 64, 3
SLOW = pytest.mark.slow


def summary_of(model: onnx.ModelProto, folder: Path) -> LayerSummary:
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return summarize_layers(read_onnx_header(path))


@pytest.mark.parametrize(
    "variant", ["b0", *(pytest.param(name, marks=SLOW) for name in ("b1", "b2", "b3", "l1"))]
)
@pytest.mark.parametrize("mode", ["stream", "clip"])
def test_macs_are_those_that_torch_counts(variant: str, mode: Mode, tmp_path: Path) -> None:
    name = f"efficientvit3d_{variant}"
    expected = summarize(name, size=SIZE, num_frames=FRAMES)
    model, card = random_preset(name, "stream", num_frames=FRAMES, input_size=SIZE)
    found = summary_of(build_onnx(model, card, mode=mode), tmp_path)
    assert found.macs == (expected.macs_per_frame if mode == "stream" else expected.macs_per_clip)
    assert {layer.precision for layer in found.layers} == {"fp32"}


def test_an_int8_graph_by_hand(tmp_path: Path) -> None:
    """Dense in INT8, depthwise in FP16, then a linear layer in float32."""

    initializers = [
        numpy_helper.from_array(np.float16(0.5), "scale"),
        numpy_helper.from_array(np.int8(0), "zero"),
        numpy_helper.from_array(np.ones((4, 3, 3, 3), np.int8), "stored"),
        numpy_helper.from_array(np.ones((4, 1, 3, 3), np.float16), "depthwise"),
        numpy_helper.from_array(np.ones((64, 5), np.float32), "matrix"),
    ]
    nodes = [
        helper.make_node("Cast", ["frame"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("QuantizeLinear", ["half", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["dq"]),
        helper.make_node("DequantizeLinear", ["stored", "scale", "zero"], ["dense"]),
        helper.make_node("Conv", ["dq", "dense"], ["a"], pads=[1] * 4, strides=[2, 2]),
        helper.make_node("Conv", ["a", "depthwise"], ["b"], pads=[1] * 4, group=4),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["flat"]),
        helper.make_node("Cast", ["flat"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["wide", "matrix"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 5])],
        initializers,
    )
    opsets = [helper.make_opsetid("", 19)]
    model = helper.make_model(graph, ir_version=10, opset_imports=opsets)
    onnx.checker.check_model(model, full_check=True)
    unknown = summary_of(model, tmp_path)
    assert unknown.macs is None

    found = summary_of(onnx.shape_inference.infer_shapes(model), tmp_path)
    assert found.layers == (
        LayerCount("dense convolution", "int8", 1, 4 * 16 * 3 * 9),
        LayerCount("depthwise convolution", "fp16", 1, 4 * 16 * 9),
        LayerCount("linear layer", "fp32", 1, 64 * 5),
        LayerCount("other", "fp16", 1, 0),
    )
    assert (found.quantize_nodes, found.dequantize_nodes) == (1, 2)
    precisions = [(layer.kind, layer.precision) for layer in found.layers]
    assert [(layer.kind, layer.precision) for layer in unknown.layers] == precisions
