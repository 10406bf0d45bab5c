"""The attention of exported networks in half precision: its formula, and its range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from effvit_edge.export.convert import as_parent, convert
from effvit_edge.export.gate import LIMITS
from effvit_edge.export.precision.fp16 import to_fp16
from effvit_edge.export.precision.graph import GraphView
from effvit_edge.export.precision.nodes import attention_nodes
from effvit_edge.export.precision.reach import SAFE_REACH, attention_reach
from effvit_edge.export.precision.rounded import emulate_half
from effvit_edge.export.runner import Runner, onnx_logits
from tests.unit.export.precision.half_units import formula
from tests.unit.export.precision.networks import DEMO, GRAPHS, footage


def ends(view: GraphView) -> list[tuple[str, str]]:
    """The packed queries, keys and values of each attention, and its answers."""
    nodes = attention_nodes(view)
    packed = [n.input[0] for n in nodes if n.op_type == "Split"]
    answers = [
        n.output[0]
        for n in nodes
        if n.op_type == "Div" and all(r.op_type == "Reshape" for r in view.followers(n))
    ]
    return list(zip(packed, answers, strict=True))


def test_every_attention_is_the_formula_of_what_it_got() -> None:
    """Single images of 32 pixels, whose last windows are one token.

    There the answer is the token's value, or zero where no channel of its key meets its query: a
    step. A graph may fall on the other side than its parent; on its side it has to be right.
    """
    child = to_fp16(GRAPHS["image"]().proto)
    pairs = ends(GraphView(child))
    assert len(pairs) == 4
    runner = Runner(emulate_half(child), [name for pair in pairs for name in pair])
    for frame in footage(12)[0]:
        taps = runner.run(frame, {})[2]
        for packed, answer in pairs:
            expected = formula(taps[packed])
            error = np.abs(taps[answer][0] - expected).max()
            assert error <= 5e-3 * np.abs(taps[packed]).max()


def hot(parent: onnx.ModelProto, factor: float) -> onnx.ModelProto:
    """The same function, whose queries, keys and values are all ``factor`` times as large."""
    model = onnx.ModelProto()
    model.CopyFrom(parent)
    view = GraphView(model)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}

    def scale(name: str, by: float) -> None:
        values = numpy_helper.to_array(weights[name]) * np.float32(by)
        weights[name].CopyFrom(numpy_helper.from_array(values, name))

    for packed, answers in ends(view):
        concat = view.maker[view.maker[packed].input[0]]
        assert concat.op_type == "Concat"
        scale(view.maker[concat.input[0]].input[1], factor)
        (reshape,) = view.readers[answers]
        (projection,) = view.readers[reshape.output[0]]
        scale(projection.input[1], 1 / factor)
    return model


def test_attention_near_the_end_of_the_range_is_kept_in_float32(tmp_path: Path) -> None:
    parent = onnx.load(DEMO)
    warm = hot(parent, 300.0)
    clips = footage(24).repeat(2, 2).repeat(2, 3)  # the demo model takes 64 pixels
    expected = onnx_logits(parent, clips)
    assert np.abs(onnx_logits(warm, clips) - expected).max() <= 1e-3 * np.abs(expected).max()
    assert not np.isfinite(onnx_logits(emulate_half(to_fp16(warm)), clips)).all()
    reaches = [attention_reach(model, clips) for model in (parent, warm)]
    assert reaches[0] < SAFE_REACH < 1 < reaches[1]
    assert reaches[1] == pytest.approx(300.0**2 * reaches[0], rel=0.01)
    made = convert(
        as_parent(warm, "warm", warm.SerializeToString()),
        tmp_path / "warm.onnx",
        precision="fp16",
        limits=LIMITS["fp16"],
        footage=clips,
        follow=96,
    )
    assert made.attention == "fp32" and made.verdict.passed
    assert made.attention_reach == pytest.approx(reaches[1])


def test_attention_within_the_range_stays_in_half(tmp_path: Path) -> None:
    clips = footage(24).repeat(2, 2).repeat(2, 3)
    made = convert(
        as_parent(onnx.load(DEMO), "demo", DEMO.read_bytes()),
        tmp_path / "demo.onnx",
        precision="fp16",
        limits=LIMITS["fp16"],
        footage=clips,
        follow=96,
    )
    assert made.attention == "fp16" and 0 < made.attention_reach < SAFE_REACH
