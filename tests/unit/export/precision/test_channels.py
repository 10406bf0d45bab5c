from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from effvit_edge.export.precision.calibrate import calibrate
from effvit_edge.export.precision.channels import Range, even_channels
from effvit_edge.export.precision.int8 import insert_qdq, quantisable
from effvit_edge.export.runner import Runner, onnx_logits
from tests.unit.export.precision.networks import GRAPHS, as_shown, footage, sequences

CLOSE = 1e-5  # float32, of values of about 1


def one_layer(weight: np.ndarray, pads: list[int]) -> onnx.ModelProto:
    """``frame (8, 8, 3)`` uint8 -> activation -> one convolution, all of it ``logits``."""
    size = 8 - weight.shape[2] + 1 + 2 * pads[0]
    nodes = [
        helper.make_node("Cast", ["frame"], ["numbers"], name="cast", to=1),
        helper.make_node("Transpose", ["numbers"], ["turned"], name="turn", perm=[2, 0, 1]),
        helper.make_node("Mul", ["turned", "factors"], ["picture"], name="factors"),
        helper.make_node("Unsqueeze", ["picture", "zero"], ["batch"], name="unsqueeze"),
        helper.make_node("HardSwish", ["batch"], ["active"], name="activation"),
        helper.make_node("Conv", ["active", "weight"], ["map"], name="layer", pads=pads),
        helper.make_node("Reshape", ["map", "flat"], ["logits"], name="reshape"),
    ]
    constants = {
        "factors": np.array([0.001, 0.01, 0.1], np.float32).reshape(3, 1, 1),
        "zero": np.array([0]),
        "flat": np.array([-1]),
        "weight": weight.astype(np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "one layer",
        [helper.make_tensor_value_info("frame", onnx.TensorProto.UINT8, [8, 8, 3])],
        [helper.make_tensor_value_info("logits", 1, [len(weight) * size * size])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 19)])


def pictures(count: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)


def activations(frames: np.ndarray) -> np.ndarray:
    """``(K, C, H, W)`` that the layer reads, by the definition of HardSwish."""
    x = np.moveaxis(frames.astype(np.float64), -1, 1) * [[[0.001]], [[0.01]], [[0.1]]]
    return x * np.clip(x / 6 + 0.5, 0, 1)


def measured(frames: np.ndarray) -> Range:
    seen = activations(frames)
    low, high, mean = (f(seen, axis=(0, 2, 3)) for f in (np.min, np.max, np.mean))
    return Range(float(high.max()), *(tuple(v.tolist()) for v in (mean, low, high)))


@pytest.mark.parametrize(("kernel", "pad"), [(1, 0), (3, 0), (3, 1)])
def test_evened_layers_answer_alike(kernel: int, pad: int) -> None:
    """Also with a border of zeros, for numpy's own sum over the window."""
    weight = np.random.default_rng(1).normal(size=(4, 3, kernel, kernel))
    model, frames = one_layer(weight, [pad] * 4), pictures()
    evened, ranges = even_channels(model, {"active": measured(frames)}, ["layer"])
    padded = np.pad(activations(frames), ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (2, 3))
    expected = np.einsum("kchwij,ocij->kohw", windows, weight).reshape(len(frames), -1)
    assert np.abs(onnx_logits(evened, frames[:, None])[:, 0] - expected).max() < 20 * CLOSE
    (name,) = ranges.keys() - {"active"}
    _, _, taps = Runner(evened, [name]).run(frames[0], {})
    assert np.abs(taps[name]).max() <= 1 + CLOSE
    assert ranges[name].high == pytest.approx((1, 1, 1))
    assert ranges[name].low == pytest.approx((-1, -1, -1) if not pad else (0, 0, 0), abs=CLOSE)


@pytest.mark.parametrize("name", ["stream", "clip"])
def test_evened_networks_answer_alike(name: str) -> None:
    parent = GRAPHS[name]().proto
    seen = calibrate(parent, as_shown(name), clips=27)
    evened, _ = even_channels(parent, seen.ranges, quantisable(parent))
    clips = footage(4 if name == "clip" else 12)
    expected, got = onnx_logits(parent, clips), onnx_logits(evened, clips)
    assert np.abs(got - expected).max() < 1e-4 * np.abs(expected).max()


def test_a_channel_that_never_changes_is_kept() -> None:
    model, frames = one_layer(np.ones((2, 3, 1, 1)), [0] * 4), pictures(4)
    frames[..., 1] = 100
    evened, _ = even_channels(model, {"active": measured(frames)}, ["layer"])
    expected, got = (onnx_logits(m, frames[:, None]) for m in (model, evened))
    assert np.abs(got - expected).max() < 1e-3 * np.abs(expected).max()
    flat = Range(0.0, (0.0,) * 3, (0.0,) * 3, (0.0,) * 3)
    evened, _ = even_channels(model, {"active": flat}, ["layer"])
    assert np.abs(onnx_logits(evened, frames[:, None]) - expected).max() < 20 * CLOSE


def test_what_is_not_named_or_not_measured_stays() -> None:
    model, known = one_layer(np.ones((2, 3, 1, 1)), [0] * 4), measured(pictures())
    for ranges, nodes in (({"active": known}, []), ({"active": Range(1.0)}, ["layer"])):
        evened, found = even_channels(model, ranges, nodes)
        assert evened == model and found == ranges


def test_small_channels_get_all_steps() -> None:
    """With one scale for all, channels of 0.001 and 0.01 have no more than two steps of it."""
    frames, known = pictures(), measured(pictures())
    weight = np.diag([100.0, 10.0, 1.0]).reshape(3, 3, 1, 1)
    model = one_layer(weight, [0] * 4)
    together = {"active": Range(known.largest)}
    errors = []
    for ranges in (together, {"active": known}):
        got = onnx_logits(insert_qdq(model, ranges), frames[:, None])
        expected = onnx_logits(model, frames[:, None])
        errors.append(np.abs(got - expected).reshape(len(frames), 3, -1).mean((0, 2)))
    step = (np.array(known.high) - known.low) / 254 * [100, 10, 1]
    assert (errors[1] < 0.5 * step + 0.01 * step.max()).all()
    assert errors[0][0] > 10 * errors[1][0] and errors[0][1] > 5 * errors[1][1]


def test_biases_take_back_what_rounding_weights_adds() -> None:
    """On average over the pictures that were shown, for each output."""
    frames, known = pictures(), measured(pictures())
    weight = np.random.default_rng(2).normal(size=(16, 3, 1, 1))
    weight[:, 2] *= 100  # so that the steps are coarse for the others
    model = one_layer(weight, [0] * 4)
    expected = onnx_logits(model, frames[:, None])
    middle = tuple(((np.array(known.low) + known.high) / 2).tolist())  # 0 once it is evened
    bias = []
    for mean in (middle, known.mean):
        child = insert_qdq(model, {"active": dataclasses.replace(known, mean=mean)})
        lost = onnx_logits(child, frames[:, None]) - expected
        bias.append(np.abs(lost.reshape(len(frames), 16, -1).mean((0, 2))).max())
    assert bias[1] < 0.2 * bias[0]


def test_evening_brings_int8_closer() -> None:
    parent = GRAPHS["taps everywhere"]().proto
    shown, clips = sequences(), footage(12)
    expected = onnx_logits(parent, clips)
    differences = []
    for method in ("minmax", "channels"):
        ranges = calibrate(parent, shown, method=method, clips=27).ranges  # type: ignore[arg-type]
        got = onnx_logits(insert_qdq(parent, ranges), clips)
        differences.append(np.abs(got - expected).mean())
    assert differences[1] < 0.7 * differences[0]
