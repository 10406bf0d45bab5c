"""The attention as one operator: what runs its body answers as torch does, and as plain operators.

The plugin that takes the operator in TensorRT is held to its specification in
``tests/unit/engine/plugin``; here is what the exporter makes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from effvit_edge.core.attention_op import CLIP_OP, DOMAIN, STEP_OP
from effvit_edge.core.card import Mode
from effvit_edge.core.comparison import compare
from effvit_edge.core.errors import GateFailure, InputError
from effvit_edge.core.onnx_header import read_onnx_header
from effvit_edge.engine.plugin.shape import AttentionShape
from effvit_edge.export import attention_body, build_onnx, export_onnx
from effvit_edge.export.attention_body import with_bodies, without_bodies
from effvit_edge.export.precision.fp16 import to_fp16
from effvit_edge.export.precision.nodes import classify, named_nodes
from effvit_edge.export.rules import IR_VERSION, OPSET
from effvit_edge.export.runner import onnx_logits
from effvit_edge.export.samples import render_samples
from effvit_edge.export.verify import parent_logits
from effvit_edge.runtime import open_session
from tests.unit.engine.plugin.attending import draw, largest_error, quadratic, summaries
from tests.unit.export.networks import (
    B0,
    EVERYWHERE,
    IMAGE,
    L1,
    STRIDED,
    Exported,
    make_model,
)

FORMS: dict[str, tuple[Mode, int | None, str, dict[str, Any]]] = {
    "stream": ("stream", None, B0, {"causal": True, "num_frames": 4}),
    "stream of window 1": ("stream", 2, B0, {"causal": True, "num_frames": 4, "window": 1}),
    "l1 stream, two cameras": ("stream", 2, L1, {"causal": True, "num_frames": 2}),
    "image": ("stream", None, IMAGE, {}),
    "causal clips of two cameras": ("clip", 2, B0, {"causal": True, "num_frames": 4, "window": 2}),
    "centred clips, fewer frames in later stages": ("clip", 2, B0, STRIDED),
    "l1 clip": ("clip", None, L1, {"num_frames": 3, "temporal_kernels": EVERYWHERE}),
}
SLOW = {"l1 clip": pytest.mark.slow}  # a large graph; what it is made of is in the others, too
_MADE: dict[str, Exported] = {}


def operator_form(name: str) -> Exported:
    """A graph with operators and bodies; made once a test run."""
    if name not in _MADE:
        mode, batch, preset, kwargs = FORMS[name]
        model, card = make_model(preset, **kwargs)
        proto = build_onnx(model, card, mode=mode, batch=batch, attention="plugin")
        _MADE[name] = Exported(model, card, proto, batch)
    return _MADE[name]


def operators(proto: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in proto.graph.node if node.domain == DOMAIN]


def fields(node: onnx.NodeProto) -> dict[str, Any]:
    return {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}


@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW.get(name, ())) for name in FORMS])
def test_the_body_answers_as_torch_does(name: str) -> None:
    made, mode = operator_form(name), FORMS[name][0]
    clips = render_samples(made.card, made.model.num_frames if mode == "clip" else 10)
    expected = parent_logits(made.model, made.card.preprocess, clips, stream=mode == "stream")
    got = onnx_logits(made.proto, clips, batch=made.batch)
    assert compare(expected, got, made.card.label_groups).max_abs <= 1e-4
    assert np.ptp(expected.reshape(-1, 5), axis=0).max() > 0.01


@pytest.mark.parametrize("tokens", [1, 49])  # their keys' factor has two branches
def test_the_body_keeps_the_summary_of_the_specification(tokens: int) -> None:
    shape = AttentionShape(
        batch=2,
        frames=1,
        heads=3,
        head_dim=16,
        tokens=tokens,
        window=4,
        eps=1e-5,
        storage="float32",
    )
    packed, ring, count = (2, 3, 48, tokens), shape.ring, (2, 1, 1, 1)
    inputs, outputs = ["qkv", "ring", "count"], ["out", "next_ring"]
    shapes = [packed, ring, count, (2, 3, 16, tokens), ring]
    values = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, axes)
        for name, axes in zip([*inputs, *outputs], shapes, strict=True)
    ]
    node = helper.make_node(STEP_OP, inputs, outputs, domain=DOMAIN, eps=shape.eps)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
    graph = helper.make_graph([node], "step", values[:3], values[3:])
    model = with_bodies(helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    qkv = draw(0, 2, 3, 16, tokens)
    fed = {"qkv": qkv, "ring": np.zeros(ring, np.float32), "count": np.ones(count, np.float32)}
    out, after = session.run(None, fed)
    np.testing.assert_allclose(after[:, -1], summaries(shape, qkv), rtol=1e-5, atol=1e-7)
    assert largest_error(out, quadratic(shape, qkv), qkv) <= 1e-5


@pytest.mark.parametrize(
    ("name", "operator", "said"),
    [
        ("stream", STEP_OP, {}),
        ("stream of window 1", CLIP_OP, {"window": 1, "causal": 1, "batch": 2}),
        ("image", CLIP_OP, {"causal": 0, "batch": 1}),
        ("causal clips of two cameras", CLIP_OP, {"window": 2, "causal": 1, "batch": 2}),
    ],
)
def test_operators_say_what_the_plugin_must_know(
    name: str, operator: str, said: dict[str, int]
) -> None:
    made = operator_form(name)
    nodes = operators(made.proto)
    assert [node.op_type for node in nodes] == [operator] * 4
    # What is left multiplies by a constant: the mean over a window of frames in the head of a clip.
    constants = {tensor.name for tensor in made.proto.graph.initializer}
    products = [node for node in made.proto.graph.node if node.op_type == "MatMul"]
    assert len(products) <= 1 and all(constants & set(node.input) for node in products)
    assert [f.name for f in made.proto.functions] == [operator]
    for node in nodes:
        found = fields(node)
        assert found["eps"] == pytest.approx(1e-5)
        assert {key: found[key] for key in said} == said
        assert found.keys() <= set(made.proto.functions[0].attribute)


@pytest.mark.parametrize("name", ["stream", "centred clips, fewer frames in later stages"])
def test_bodies_come_off_and_on_again(name: str) -> None:
    made = operator_form(name).proto
    bare = without_bodies(made)
    onnx.checker.check_model(bare, full_check=True)
    onnx.shape_inference.infer_shapes(bare, strict_mode=True, data_prop=True)
    assert not bare.functions
    for node in operators(bare):
        found = fields(node)
        assert (found["plugin_version"], found["plugin_namespace"]) == (b"1", b"effvit_edge")
    again = with_bodies(bare)
    assert again.functions == made.functions
    assert again.graph.node == made.graph.node


def test_a_graph_without_operators_stays_as_it_is() -> None:
    model, card = make_model(IMAGE)
    proto = build_onnx(model, card, mode="stream")
    assert not proto.functions and with_bodies(proto) == proto


@pytest.mark.parametrize("name", ["stream", "causal clips of two cameras"])
def test_half_precision_leaves_the_body_alone(name: str) -> None:
    made = operator_form(name)
    half = to_fp16(made.proto, islands=named_nodes(made.proto, "entry"))
    assert half.functions == made.proto.functions
    kinds = classify(made.proto)
    assert {kinds[node.name] for node in operators(made.proto)} == {"attention"}
    inferred = onnx.shape_inference.infer_shapes(half, strict_mode=True).graph.value_info
    types = {value.name: value.type.tensor_type.elem_type for value in inferred}
    for node in operators(half):
        assert types[node.output[0]] == onnx.TensorProto.FLOAT16
    onnx.checker.check_model(without_bodies(half), full_check=True)


def test_the_file_for_the_plugin_has_no_body_and_was_held_to_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, card = make_model(IMAGE)
    report = export_onnx(model, card, tmp_path / "m.onnx", mode="stream", attention="plugin")
    assert report.comparison.max_abs <= 1e-4
    assert report.size_bytes == report.path.stat().st_size
    header = read_onnx_header(report.path)
    assert header.ops[f"{DOMAIN}::{CLIP_OP}"] == 4 and not header.functions
    with pytest.raises(InputError, match=r"only TensorRT with the plugin.*--provider tensorrt"):
        open_session(report.path, provider="cpu")

    monkeypatch.setattr(attention_body, "_number", _wrong_eps)
    with pytest.raises(GateFailure):
        export_onnx(model, card, tmp_path / "wrong.onnx", mode="stream", attention="plugin")
    assert not (tmp_path / "wrong.onnx").exists()


@pytest.mark.parametrize("name", ["stream", "centred clips, fewer frames in later stages"])
def test_tensorrt_takes_the_body_and_asks_for_the_plugin_without_it(name: str) -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    made = operator_form(name).proto
    half = to_fp16(made, islands=named_nodes(made, "entry"))
    logger = trt.Logger(trt.Logger.INTERNAL_ERROR)
    for proto, taken in ((made, True), (half, True), (without_bodies(half), False)):
        builder = trt.Builder(logger)
        flag = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        network = builder.create_network(flag)
        parser = trt.OnnxParser(network, logger)
        assert parser.parse(proto.SerializeToString()) is taken
        said = [parser.get_error(number).desc() for number in range(parser.num_errors)]
        assert bool(said) != taken and all("Plugin not found" in line for line in said)


def _wrong_eps(name: str, value: float) -> str:
    value = 1.0 if name == "eps_ref" else value
    return f"{name} = Constant <value = float[1] {{{value!r}}}> ()"
