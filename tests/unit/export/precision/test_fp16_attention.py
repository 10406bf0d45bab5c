"""The attention of exported streams in half precision: its formula, its sums' orders, its range."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.utils import Extractor

from effvit_edge.export import build_onnx
from effvit_edge.export.convert import as_parent, convert
from effvit_edge.export.gate import LIMITS
from effvit_edge.export.precision.fp16 import to_fp16
from effvit_edge.export.precision.graph import GraphView
from effvit_edge.export.precision.nodes import attention_nodes
from effvit_edge.export.precision.reach import SAFE_REACH, attention_reach
from effvit_edge.export.precision.rounded import emulate_half
from effvit_edge.export.runner import onnx_logits
from tests.unit.export.networks import B0, make_card, make_model
from tests.unit.export.precision.half_units import (
    Array,
    Total,
    by_sixteens,
    in_single,
    one_by_one,
    run,
)
from tests.unit.export.precision.networks import DEMO, footage

FRAMES, HEADS, DIM = 16, 8, 16
EPS = 1e-5


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


@cache
def first_attention(size: int) -> onnx.ModelProto:
    """Of a stream with a window of 16 frames of ``size`` pixels, in half precision."""
    model, _ = make_model(B0, causal=True, num_frames=FRAMES, window=FRAMES)
    child = to_fp16(build_onnx(model, make_card(model, size), mode="stream", batch=None))
    packed, answers = ends(GraphView(child))[0]
    ring = next(t.name for t in child.graph.input if t.name.endswith("attention"))
    whole = onnx.shape_inference.infer_shapes(child)
    inputs, outputs = [packed, ring, "state_count"], [answers, f"next_{ring}", "next_state_count"]
    return Extractor(whole).extract_model(inputs, outputs)


def formula(packed: Array) -> Array:
    """Frames ``(F, heads, 3d, N)`` of one window -> answers of the last one, in float64."""
    q, k, v = np.split(packed.astype(np.float64), 3, axis=2)
    q, k = np.maximum(q[-1], 0), np.maximum(k, 0)
    summary = np.einsum("fhin,fhjn->hij", v, k)
    total = np.einsum("fhjn,hjm->hm", k, q)[:, None] + EPS * len(packed)
    return np.einsum("hij,hjm->him", summary, q) / total


def last_answers(model: onnx.ModelProto, packed: Array, total: Total) -> Array:
    """Step through all frames."""
    names = [tensor.name for tensor in model.graph.input]
    shapes = [[d.dim_value for d in t.type.tensor_type.shape.dim] for t in model.graph.input]
    state = [np.zeros(shape, np.float16) for shape in shapes[1:]]
    for frame in packed:
        outputs = run(model, dict(zip(names, [frame[None], *state], strict=True)), total)
        answers, *state = outputs.values()
    return answers[0]


@pytest.mark.parametrize("total", [in_single, by_sixteens, one_by_one])
@pytest.mark.parametrize("size", [224, pytest.param(448, marks=pytest.mark.slow)])
@pytest.mark.parametrize("bias", [0.0, 4.0])
@pytest.mark.parametrize("sigma", [0.05, 1.0, 32.0])
def test_what_is_exported_keeps_three_digits_however_it_adds_up(
    total: Total, size: int, sigma: float, bias: float
) -> None:
    """16·14·14 and 16·28·28 tokens, storage and sums in half precision; values of mean bias·σ."""
    tokens = (size // 16) ** 2
    packed = np.random.default_rng(0).standard_normal((FRAMES, HEADS, 3 * DIM, tokens))
    packed[:, :, 2 * DIM :] += bias
    half = (sigma * packed).astype(np.float16)
    expected = formula(half)
    got = last_answers(first_attention(size), half, total)
    assert np.abs(got - expected).max() <= 5e-3 * np.abs(expected).max()


@pytest.mark.parametrize("total", [in_single, by_sixteens, one_by_one])
@pytest.mark.parametrize("zero", [slice(0, DIM), slice(DIM, 2 * DIM), slice(0, 3 * DIM)])
def test_zeros_in_zeros_out(total: Total, zero: slice) -> None:
    packed = np.random.default_rng(0).standard_normal((2, HEADS, 3 * DIM, 196)).astype(np.float16)
    packed[:, :, zero] = 0
    assert not last_answers(first_attention(224), packed, total).any()


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
