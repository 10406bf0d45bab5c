from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from effvit_edge.export.precision.fp16 import LEAST_NORMAL, to_fp16
from effvit_edge.export.precision.nodes import classify, named_nodes
from effvit_edge.export.precision.rounded import emulate_half
from effvit_edge.export.runner import Runner, onnx_logits
from tests.unit.export.networks import stream
from tests.unit.export.precision.networks import DEMO, GRAPHS, footage, real_clip, types_of


@pytest.mark.parametrize("name", GRAPHS)
def test_everything_but_pixels_and_logits_is_half(name: str) -> None:
    parent = GRAPHS[name]().proto
    child = to_fp16(parent)
    types = types_of(child)
    assert types[child.graph.input[0].name] == "uint8"
    assert types["logits"] == "float32"
    wide = {tensor for tensor, kind in types.items() if kind == "float32"}
    assert wide == {"logits"}
    weights = {t.data_type for t in child.graph.initializer}
    assert onnx.TensorProto.FLOAT not in weights
    names = [node.name for node in child.graph.node]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("attention", ["fp16", "fp32"])
def test_onnx_runtime_and_the_emulation_answer_nearly_alike(name: str, attention: str) -> None:
    """In the middle: an attention of one token is a step, and rounding decides at its edge."""
    exported = GRAPHS[name]()
    clips = footage(4 if name == "clip" else 12)
    expected = onnx_logits(exported.proto, clips, batch=exported.batch)
    islands = named_nodes(exported.proto, "attention") if attention == "fp32" else []
    child = to_fp16(exported.proto, islands=islands)
    for graph in (child, emulate_half(child)):
        got = onnx_logits(graph, clips, batch=exported.batch)
        assert np.isfinite(got).all()
        assert 0 < np.median(np.abs(got - expected)) < 0.01 * np.abs(expected).max()


def test_an_island_keeps_its_nodes_and_the_states_they_make() -> None:
    parent = GRAPHS["taps everywhere"]().proto
    entry = named_nodes(parent, "entry")
    assert entry
    child = to_fp16(parent, islands=entry)
    types = types_of(child)
    made = [n.output[0] for n in parent.graph.node if n.name in entry]
    assert {types[tensor] for tensor in made} == {"float32"}
    states = {t.name: types[t.name] for t in parent.graph.input if t.name.startswith("state")}
    wide = {name for name, kind in states.items() if kind == "float32"}
    assert wide == {"state_stem_0_conv_p1", "state_stem_0_conv_p2"}
    for name, kind in states.items():
        assert types[f"next_{name}"] == kind


def test_the_state_of_the_first_layer_is_what_half_precision_hurts(test_data: Path) -> None:
    """The demo model on a real video: an island for it takes most of the difference away."""
    parent = onnx.load(DEMO)
    clips = real_clip(test_data, 64, 40)
    expected = onnx_logits(parent, clips)
    errors = []
    for islands in ((), named_nodes(parent, "entry")):
        got = onnx_logits(emulate_half(to_fp16(parent, islands=islands)), clips)
        errors.append(np.abs(got - expected).mean())
    assert errors[1] < 0.5 * errors[0]


def test_bounds_become_normal_numbers() -> None:
    child = to_fp16(GRAPHS["stream"]().proto)
    constants = {t.name: numpy_helper.to_array(t) for t in child.graph.initializer}
    bounds = [n.input[1] for n in child.graph.node if n.op_type == "Clip" and n.input[1]]
    assert bounds
    assert all(abs(constants[name].item()) >= LEAST_NORMAL for name in bounds)


def test_black_pictures_give_numbers() -> None:
    black = np.zeros((1, 8, 64, 64, 3), np.uint8)
    got = onnx_logits(emulate_half(to_fp16(onnx.load(DEMO))), black)
    assert np.isfinite(got).all()


def test_the_emulation_rounds_every_tensor_and_onnx_runtime_does_not() -> None:
    child = to_fp16(GRAPHS["stream"]().proto)
    tapped = [n.output[0] for n in child.graph.node if n.op_type == "HardSwish"]
    runner = Runner(emulate_half(child), tapped)
    taps = runner.run(footage()[0, 0], runner.start())[2]
    for values in taps.values():
        assert np.array_equal(values, values.astype(np.float16).astype(np.float32))


def test_kinds_follow_from_the_structure() -> None:
    parent = stream().proto
    kinds = classify(parent)
    weighted = {n.name: n for n in parent.graph.node if n.op_type in ("Conv", "Gemm")}
    groups = {
        name: next(a.i for a in n.attribute if a.name == "group")
        for name, n in weighted.items()
        if n.op_type == "Conv"
    }
    assert {name for name in groups if kinds[name] == "grouped"} == {
        name for name, count in groups.items() if count > 1
    }
    products = [n.name for n in parent.graph.node if n.op_type == "MatMul"]
    assert products and {kinds[name] for name in products} == {"attention"}
    gemms = [n.name for n in weighted.values() if n.op_type == "Gemm"]
    assert gemms and {kinds[name] for name in gemms} == {"head"}
    renamed = onnx.ModelProto()
    renamed.CopyFrom(parent)
    for number, node in enumerate(renamed.graph.node):
        node.name = f"n{number}"
    assert list(classify(renamed).values()) == list(kinds.values())


def test_a_node_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no node 'nowhere'"):
        to_fp16(GRAPHS["image"]().proto, islands=["nowhere"])
