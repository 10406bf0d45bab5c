from __future__ import annotations

from collections.abc import Callable
from functools import partial

import onnx
import pytest
from onnx import TensorProto, helper

from effvit_edge.core.errors import EdgeError
from effvit_edge.export.rules import broken_rules, check_rules
from tests.unit.export.networks import IMAGE, REPLICATE, STREAMS, STRIDED, Exported, clip, stream

GRAPHS: dict[str, Callable[[], Exported]] = {
    **{name: partial(stream, **kwargs) for name, kwargs in STREAMS.items()},
    "image": lambda: stream(IMAGE),
    "clip": lambda: clip(),
    "causal clips of two cameras": lambda: clip(batch=2, causal=True),
    "replicate clip": lambda: clip(**REPLICATE),
    "temporal-stride clip": lambda: clip(**STRIDED),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_every_graph_keeps_the_rules(name: str) -> None:
    proto = GRAPHS[name]().proto
    assert list(broken_rules(proto)) == []
    convolutions = [node for node in proto.graph.node if node.op_type == "Conv"]
    ranks = {tensor.name: len(tensor.dims) for tensor in proto.graph.initializer}
    assert {ranks[node.input[1]] for node in convolutions} == {4}  # none of them 3D
    assert {node.domain for node in proto.graph.node} == {""}


def test_names_and_shapes_of_a_stream() -> None:
    proto = stream(batch=2, window=2, temporal_kernels=(3, 3, 3, 3, 3)).proto
    inputs, outputs = (
        {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}
        for values in (proto.graph.input, proto.graph.output)
    )
    assert inputs["frame"] == [2, 32, 32, 3]
    assert outputs["logits"] == [2, 5]
    states = {name: shape for name, shape in inputs.items() if name != "frame"}
    assert all(name.startswith("state_") for name in states)
    assert {name: shape for name, shape in outputs.items() if name != "logits"} == {
        f"next_{name}": shape for name, shape in states.items()
    }
    assert all(shape[0] == 2 for shape in states.values())


def test_an_image_network_streams_without_state() -> None:
    proto = stream(IMAGE).proto
    assert [v.name for v in proto.graph.input] == ["frame"]
    assert [v.name for v in proto.graph.output] == ["logits"]


def small_graph() -> onnx.ModelProto:
    """Cast, add a constant: keeps every rule."""
    nodes = [
        helper.make_node("Cast", ["frame"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "one"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, [2])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [2])],
        [helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])],
    )
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])


def _five_axes(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [1, 1, 1, 1, 1]
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    for size in (1, 1, 1, 1, 2):
        model.graph.output[0].type.tensor_type.shape.dim.add().dim_value = size


def _open_shape(model: onnx.ModelProto) -> None:
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "n"


def _second_consumer(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Cast", ["frame"], ["unused"], to=TensorProto.FLOAT))


def _gather(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(helper.make_tensor("i", TensorProto.INT64, [1], [0]))
    model.graph.node.append(helper.make_node("Gather", ["x", "i"], ["unused"]))


def _newer(model: onnx.ModelProto) -> None:
    model.ir_version = 14
    model.opset_import[0].version = 23


def _float_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_five_axes, "weight 'one' has 5 axes"),
        (_open_shape, "the shape of 'frame' is not fixed"),
        (_second_consumer, r"goes into \['Cast', 'Cast'\]"),
        (_gather, r"shape arithmetic \(Gather\)"),
        (_newer, "IR version is 14"),
        (_float_input, "is not uint8"),
    ],
)
def test_a_broken_rule_is_named(spoil: Callable[[onnx.ModelProto], None], said: str) -> None:
    model = small_graph()
    check_rules(model)
    spoil(model)
    with pytest.raises(EdgeError, match=said):
        check_rules(model)
