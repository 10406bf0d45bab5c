from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from effvit_edge.bench.estimate import DEVICES, DeviceRates, predict
from effvit_edge.core.errors import InputError
from effvit_edge.core.onnx_header import OnnxHeader, read_onnx_header
from effvit_edge.core.onnx_layers import summarize_layers
from effvit_edge.export.precision.fp16 import to_fp16
from tests.conftest import REPOSITORY

DEMO = REPOSITORY / "models" / "demo.onnx"
SIMPLE = DeviceRates("simple", 1.0, {"fp32": 1.0, "fp16": 2.0}, "made up", 10.0, 0.5, 0.5)
"""1 GB and 1 teraflop a second, of which half are reached, and 10 µs between kernels."""


def header(path: Path, nodes: list[onnx.NodeProto], *, describe: bool = True) -> OnnxHeader:
    """A 1×1 convolution of 64 channels at 100×100 pixels, and what follows it."""
    weight = numpy_helper.from_array(np.ones((64, 64, 1, 1), np.float32), "weight")
    shape = [1, 64, 100, 100]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, shape)]
    model = helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, [weight]))
    if describe:
        model = onnx.shape_inference.infer_shapes(model)
    onnx.save(model, path)
    return read_onnx_header(path)


CONV = helper.make_node("Conv", ["x", "weight"], ["y"])
ACTIVATION = helper.make_node("Relu", ["y"], ["z"])
PIXELS = 64 * 100 * 100


def test_a_layer_is_as_slow_as_the_slower_of_computing_and_moving(tmp_path: Path) -> None:
    found = predict(header(tmp_path / "m.onnx", [CONV]), SIMPLE)
    (layer,) = found.layers
    assert (layer.macs, layer.bytes) == (64 * PIXELS, 4 * (2 * PIXELS + 64 * 64))
    moving, computing = layer.bytes / 0.5e9, 2 * layer.macs / 0.5e12
    assert found.milliseconds == pytest.approx(1000 * (max(moving, computing) + 10e-6))
    assert (layer.bound, found.memory_bound_share) == ("memory", 1.0)
    slow = dataclasses.replace(SIMPLE, teraflops={"fp32": 0.001})
    computing = predict(header(tmp_path / "m.onnx", [CONV]), slow).layers[0]
    assert computing.bound == "compute"
    assert computing.milliseconds == pytest.approx(1000 * (2 * layer.macs / 0.5e9 + 10e-6))


def test_an_activation_behind_a_layer_is_part_of_it(tmp_path: Path) -> None:
    alone = predict(header(tmp_path / "a.onnx", [CONV]), SIMPLE)
    both = predict(header(tmp_path / "b.onnx", [CONV, ACTIVATION]), SIMPLE)
    assert both.milliseconds == alone.milliseconds


def test_a_tensor_with_another_reader_is_written(tmp_path: Path) -> None:
    again = helper.make_node("Conv", ["y", "weight"], ["w"])
    both = helper.make_node("Mul", ["z", "w"], ["out"])
    found = predict(header(tmp_path / "m.onnx", [CONV, ACTIVATION, again, both]), SIMPLE)
    assert [layer.op for layer in found.layers] == ["Conv", "Relu", "Conv"]


def test_an_activation_in_front_is_a_kernel_of_its_own(tmp_path: Path) -> None:
    front = helper.make_node("Relu", ["x"], ["r"])
    conv = helper.make_node("Conv", ["r", "weight"], ["y"])
    found = predict(header(tmp_path / "m.onnx", [front, conv]), SIMPLE)
    assert [layer.op for layer in found.layers] == ["Relu", "Conv"]


def test_a_file_without_shapes_is_refused(tmp_path: Path) -> None:
    found = header(tmp_path / "m.onnx", [CONV, ACTIVATION], describe=False)
    with pytest.raises(InputError, match="does not tell the shapes"):
        predict(found, SIMPLE)


def test_the_demo_models_macs_are_those_of_inspect() -> None:
    found = read_onnx_header(DEMO)
    estimate = predict(found, DEVICES["orin-nano"])
    assert sum(layer.macs for layer in estimate.layers) == summarize_layers(found).macs
    assert sum(estimate.by_kind.values()) == pytest.approx(estimate.milliseconds)


def test_half_precision_moves_half_as_much(tmp_path: Path) -> None:
    onnx.save(to_fp16(onnx.load(DEMO)), tmp_path / "half.onnx")
    whole = predict(read_onnx_header(DEMO), DEVICES["orin-nano"])
    half = predict(read_onnx_header(tmp_path / "half.onnx"), DEVICES["orin-nano"])
    moved = [sum(layer.bytes for layer in found.layers) for found in (half, whole)]
    assert 0.45 < moved[0] / moved[1] < 0.6  # pixels and logits stay as they are
    assert half.milliseconds < whole.milliseconds


def test_a_board_in_a_slower_mode_is_told_slower() -> None:
    found = read_onnx_header(DEMO)
    names = ("agx-orin", "orin-nano", "orin-nano-15w")
    times = [predict(found, DEVICES[name]).milliseconds for name in names]
    assert times == sorted(times)
