from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from effvit_edge.core.errors import InputError
from effvit_edge.data.types import LabelledSequence
from effvit_edge.export.convert import read_parent
from effvit_edge.export.precision.calibrate import METHODS, Method, calibrate, choose_balanced
from effvit_edge.export.precision.fp16 import to_fp16
from effvit_edge.export.precision.int8 import insert_qdq, quantisable, tensors_to_calibrate
from effvit_edge.export.precision.nodes import classify, named_nodes
from effvit_edge.export.precision.rounded import emulate_half
from effvit_edge.export.runner import Runner, onnx_logits
from tests.unit.export.precision.networks import (
    DEMO,
    GRAPHS,
    Views,
    as_shown,
    calibrated,
    sequences,
)
from tests.unit.export.precision.rtx import build
from tests.unit.export.precision.test_channels import one_layer

ONE_STREAM = ["stream", "taps everywhere", "clip", "image"]


def child_of(name: str) -> onnx.ModelProto:
    """INT8 with half precision elsewhere."""
    parent = GRAPHS[name]().proto
    quantised = insert_qdq(parent, calibrated(name).ranges)
    return to_fp16(quantised, islands=named_nodes(parent, "attention"))


@pytest.mark.parametrize("name", ONE_STREAM)
def test_only_dense_layers_are_quantised(name: str) -> None:
    child = child_of(name)
    quantised = {
        node.name
        for node in child.graph.node
        if any(i.endswith("DequantizeLinear_Output") for i in node.input)
    }
    kinds = classify(GRAPHS[name]().proto)
    assert quantised == set(quantisable(GRAPHS[name]().proto))
    assert {kinds[node] for node in quantised} <= {"dense", "pointwise", "linear"}
    assert quantised


@pytest.mark.parametrize("name", ["stream", "clip"])
def test_it_is_symmetric_per_channel_and_in_half_precision(name: str) -> None:
    child = child_of(name)
    constants = {t.name: numpy_helper.to_array(t) for t in child.graph.initializer}
    weights = 0
    for node in child.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        scale, zero = constants[node.input[1]], constants[node.input[2]]
        assert scale.dtype == np.float16 and (scale > 0).all()
        assert zero.dtype == np.int8 and not zero.any()
        if node.input[0] in constants:
            assert scale.shape == constants[node.input[0]].shape[:1]
            weights += 1
    assert weights == len(quantisable(GRAPHS[name]().proto))
    assert {entry.domain for entry in child.opset_import} == {""}
    assert child.opset_import[0].version == 19 and child.ir_version == 10


def test_weights_are_as_near_as_their_steps_allow() -> None:
    parent, child = GRAPHS["stream"]().proto, child_of("stream")
    constants = {t.name: numpy_helper.to_array(t) for t in child.graph.initializer}
    originals = {t.name: numpy_helper.to_array(t) for t in parent.graph.initializer}
    checked = 0
    for node in child.graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in constants:
            continue
        steps = constants[node.input[1]].astype(np.float64).reshape(-1, 1, 1, 1)
        original = originals[node.input[0].removesuffix("_quantized")]
        assert np.abs(constants[node.input[0]] * steps - original).max() <= steps.max() / 2
        checked += 1
    assert checked > 10


def test_onnx_runtime_answers_nearly_alike() -> None:
    """A trained network: random ones change their answers with any rounding."""
    parent = read_parent(DEMO).model
    ranges = calibrate(parent, sequences(frames=6, size=64)).ranges
    clips = sequences(frames=16, size=64)[3].frames[None]
    expected = onnx_logits(parent, clips)
    child = to_fp16(insert_qdq(parent, ranges), islands=named_nodes(parent, "entry"))
    real, emulated = (onnx_logits(graph, clips) for graph in (child, emulate_half(child)))
    scale = np.abs(expected).max()
    assert 0 < np.abs(emulated - expected).max() < 0.25 * scale
    assert np.abs(real - emulated).max() < 0.1 * scale


def test_a_camera_axis_is_calibrated_by_the_graph_without_it() -> None:
    with pytest.raises(InputError, match="cannot be calibrated"):
        calibrate(GRAPHS["two cameras"]().proto, sequences())


@pytest.mark.parametrize("method", sorted({*METHODS} - {"entropy"}))
def test_calibration_is_the_same_at_every_time(method: Method) -> None:
    parent = GRAPHS["image"]().proto
    few = sequences(count=27, frames=3)
    first, second = (calibrate(parent, few, method=method, clips=25, seed=3) for _ in range(2))
    assert first == second
    assert first.clips == 25 and first.frames == 75
    assert first.ranges.keys() == set(tensors_to_calibrate(parent))
    assert calibrate(parent, few, method=method, clips=25, seed=4).sha256 != first.sha256


def test_entropy_stays_within_what_was_seen() -> None:
    """One tensor, whose largest value comes first: the search costs the square of its bins."""
    first_shown = int(np.random.default_rng(0).permutation(27)[0])

    class Pictures(Views):
        def __getitem__(self, index: int) -> LabelledSequence:
            frame = np.random.default_rng(index).integers(0, 18, (1, 8, 8, 3), np.uint8)
            if index == first_shown:
                frame[0, 0, 0, 2] = 255
            return LabelledSequence(str(index), frame, np.array([[index % 9]]))

    model = one_layer(np.ones((1, 3, 1, 1)), [0] * 4)
    first, second = (calibrate(model, Pictures(), method="entropy", clips=27) for _ in range(2))
    assert first == second
    extremes = calibrate(model, Pictures(), method="minmax", clips=27).ranges["active"].largest
    assert extremes == pytest.approx(25.5)
    assert 1 < first.ranges["active"].largest <= 1.01 * extremes


def test_methods_hold_as_much_as_they_say() -> None:
    parent = GRAPHS["image"]().proto
    few = sequences(count=27, frames=3)
    full, most = (calibrate(parent, few, method=m).ranges for m in ("minmax", "percentile"))
    assert all(0 < most[name].largest <= full[name].largest * 1.001 for name in full)
    assert sum(r.largest for r in most.values()) < sum(r.largest for r in full.values())
    assert not any(r.low for r in (*full.values(), *most.values()))


def test_channels_are_what_the_layers_read() -> None:
    """Extremes and means of the pictures that were shown, by a look at all of them at once."""
    parent, few = GRAPHS["image"]().proto, sequences(count=27, frames=3)
    found = calibrate(parent, few, method="channels", clips=27).ranges
    name = next(name for name in found if found[name].low)
    runner = Runner(parent, [name])
    seen = [few[i] for i in range(27)]
    values = np.stack([runner.run(f, {})[2][name][0] for s in seen for f in s.frames])
    assert found[name].low == pytest.approx(values.min((0, 2, 3)))
    assert found[name].high == pytest.approx(values.max((0, 2, 3)))
    assert found[name].mean == pytest.approx(values.mean((0, 2, 3)), abs=1e-5)
    assert found[name].largest == pytest.approx(np.abs(values).max())


def test_streams_are_calibrated_with_their_state() -> None:
    """Ranges differ from those of frames that come out of nothing."""
    parent = GRAPHS["taps everywhere"]().proto
    running = calibrate(parent, sequences(frames=12), method="minmax")

    class Singles(Views):
        def __getitem__(self, index: int) -> LabelledSequence:
            whole = sequences(frames=12)[index]
            return LabelledSequence(whole.name, whole.frames[-1:], whole.targets[-1:])

    single = calibrate(parent, Singles(), method="minmax")
    assert running.frames > single.frames
    assert any(r.largest > 1.2 * single.ranges[n].largest for n, r in running.ranges.items())


def test_too_few_sequences_are_refused() -> None:
    with pytest.raises(InputError, match="at least 24 labelled sequences, got 9"):
        calibrate(GRAPHS["image"]().proto, sequences(count=9, frames=2))


def test_classes_are_balanced_as_far_as_they_go() -> None:
    class Uneven(Views):
        def __len__(self) -> int:
            return 40

        def __getitem__(self, index: int) -> LabelledSequence:
            label = 0 if index < 34 else 1 + index % 3
            frames = np.full((1, 1, 2, 2, 3), index, np.uint8)
            return LabelledSequence(str(index), frames, np.array([[label]]))

    chosen = list(choose_balanced(Uneven(), 18, seed=0))
    labels = [int(s.targets[0, 0]) for s in chosen]
    assert len({s.name for s in chosen}) == 18
    assert sum(label > 0 for label in labels) == 6  # all there are; the rest fills up
    assert [s.name for s in choose_balanced(Uneven(), 18, seed=0)] == [s.name for s in chosen]
    assert [s.name for s in choose_balanced(Uneven(), 18, seed=1)] != [s.name for s in chosen]


@pytest.mark.parametrize("name", ["stream", "clip"])
def test_tensorrt_rtx_builds_evened_graphs(name: str, tmp_path: Path) -> None:
    parent = GRAPHS[name]().proto
    ranges = calibrate(parent, as_shown(name), clips=27).ranges
    path = tmp_path / "m.onnx"
    onnx.save(to_fp16(insert_qdq(parent, ranges)), path)
    assert build(path) > 0
