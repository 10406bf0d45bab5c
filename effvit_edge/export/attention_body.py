"""The attention operators' bodies: functions in plain ONNX that a graph brings along.

ONNX Runtime and TensorRT put a body in its operator's place (`with_bodies`). TensorRT takes its
plugin only where there is none (`without_bodies`).

Inside, everything is float32, whatever the graph's precision; a pass from one precision to another
leaves the bodies as they are. The arithmetic is that of ``nn.attention.relu_linear_attention``. No
torch here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import onnx
import onnx.parser
from onnx import helper

from effvit_edge.core.attention_op import (
    CLIP_OP,
    DOMAIN,
    KEY_GAIN,
    LEAST_KEY_GAIN,
    STEP_OP,
    VERSION,
)
from effvit_edge.export.rules import OPSET

Attention = Literal["native", "plugin"]
"""Plain operators, or one operator without a body, for TensorRT with the plugin."""
ATTENTIONS: tuple[Attention, ...] = get_args(Attention)

_LEAST_NORMAL = 2.0**-14
_LEAST_FLOAT = 2.0**-126
_LARGEST_INDEX = 2**31 - 1
_PLUGIN_FIELDS = {"plugin_version": VERSION, "plugin_namespace": DOMAIN}


def with_bodies(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with a body for every attention operator; one without any is as it was.

    Args:
        model: with bodies already, or with the shapes of its inner tensors.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    nodes = _operators(result)
    for node in nodes:
        kept = [entry for entry in node.attribute if entry.name not in _PLUGIN_FIELDS]
        del node.attribute[:]
        node.attribute.extend(kept)
    if not result.functions:
        result.functions.extend(_bodies(result, nodes))
    return result


def without_bodies(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph for TensorRT's plugin: no bodies, and the plugin named at every operator.

    It gets the shapes of its inner tensors, which nobody could infer from then on.
    """
    whole = with_bodies(model)
    result = onnx.shape_inference.infer_shapes(whole, strict_mode=True, data_prop=True)
    del result.functions[:]
    for node in _operators(result):
        node.attribute.extend(helper.make_attribute(*entry) for entry in _PLUGIN_FIELDS.items())
    return result


def _operators(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.domain == DOMAIN]


@dataclass(frozen=True)
class _Form:
    """What the bodies of one graph's operators have in common."""

    operator: str
    eps: float
    window: int
    causal: bool
    batch: int
    frames: int
    """Of a causal clip; the others may have fewer in later stages, and take it from the tensor."""


def _bodies(
    model: onnx.ModelProto, nodes: Iterable[onnx.NodeProto]
) -> Iterable[onnx.FunctionProto]:
    values = [*model.graph.input, *model.graph.value_info, *model.graph.output]
    shapes = {
        value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in values
    }
    # a function's name stands for one body, so the operators of a graph must agree
    forms = {_form(node, shapes) for node in nodes}
    if len(forms) > len({form.operator for form in forms}):
        raise ValueError(f"attention operators of one graph differ: {forms}")
    return [_step_body(form) if form.operator == STEP_OP else _clip_body(form) for form in forms]


def _form(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> _Form:
    fields = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    if node.op_type == STEP_OP:
        window = shapes[node.input[1]][1] + 1
        return _Form(STEP_OP, fields["eps"], window, causal=True, batch=0, frames=1)
    causal, batch = bool(fields["causal"]), fields["batch"]
    if not causal:
        return _Form(CLIP_OP, fields["eps"], 0, causal, batch, frames=0)
    frames = shapes[node.input[0]][0] // batch
    return _Form(CLIP_OP, fields["eps"], fields["window"], causal, batch, frames)


def _clip_body(form: _Form) -> onnx.FunctionProto:
    """Sums by a band matrix over time (causal), or over the whole clip."""
    if form.frames == 1:
        sums = f"sum = Identity (summary) {_number('seen', 1.0)}"
    else:
        sums = _band_sums(form) if form.causal else _WHOLE_CLIP_SUMS
    names = "eps, window, causal, batch"
    return _function(f"{CLIP_OP} <{names}> (qkv) => (out)", _frames(form), sums, form.eps)


_WHOLE_CLIP_SUMS = """
    summary_shape = Shape (summary)
    rest = Constant <value = int64[1] {-1}> ()
    time_first = Concat <axis = 0> (frame_count, rest)
    rows = Reshape (summary, time_first)
    total = ReduceSum (rows, first)
    rows_shape = Shape (rows)
    wide = Expand (total, rows_shape)
    sum = Reshape (wide, summary_shape)
    seen = Identity (frames)
"""


def _band_sums(form: _Form) -> str:
    """Time-major rows, ``(T, B·heads·(d + 1)·d)``, times a matrix of zeros and ones."""
    times = range(form.frames)
    band = [[float(0 <= t - past < form.window) for past in times] for t in times]
    seen = [sum(row) for row in band for _ in range(form.batch)]
    size = form.frames
    return f"""
        summary_shape = Shape (summary)
        time_first = Constant <value = int64[2] {{{size}, -1}}> ()
        rows = Reshape (summary, time_first)
        band = Constant <value = float[{size}, {size}] {_list(itertools.chain(*band))}> ()
        banded = MatMul (band, rows)
        sum = Reshape (banded, summary_shape)
        seen = Constant <value = float[{len(seen)}, 1, 1, 1] {_list(seen)}> ()
    """


def _step_body(form: _Form) -> onnx.FunctionProto:
    """The ring's sum and the new summary; the ring moves on by one."""
    sums = f"""
        summary_shape = Shape (summary)
        row_shape = Constant <value = int64[3] {{0, 1, -1}}> ()
        row = Reshape (summary, row_shape)
        wide_ring = Cast <to = 1> (ring)
        past = ReduceSum (wide_ring, second)
        total = Add (past, row)
        sum = Reshape (total, summary_shape)
        end = Constant <value = int64[1] {{{_LARGEST_INDEX}}}> ()
        later = Slice (ring, second, end, second)
        stored_row = CastLike (row, ring)
        next_ring = Concat <axis = 1> (later, stored_row)
        seen = Cast <to = 1> (frames_seen)
    """
    names = "(qkv, ring, frames_seen) => (out, next_ring)"
    return _function(f"{STEP_OP} <eps> {names}", _frames(form), sums, form.eps)


def _frames(form: _Form) -> str:
    """``frames = M``, where it is the tensor's own as well."""
    if form.causal:
        return _number("frames", float(form.window))
    return f"""
        batch_size = Constant <value = int64[1] {{{form.batch}}}> ()
        row_count = Gather (shape, first)
        frame_count = Div (row_count, batch_size)
        frames = Cast <to = 1> (frame_count)
    """


def _function(signature: str, frames: str, sums: str, eps: float) -> onnx.FunctionProto:
    """``summary (F, heads, d + 1, d)`` before the sums over time, ``sum`` and ``seen`` after."""
    text = f"""
    <opset_import: ["" : {OPSET}], domain: "{DOMAIN}">
    {signature}
    {{
        first = Constant <value = int64[1] {{0}}> ()
        second = Constant <value = int64[1] {{1}}> ()
        third = Constant <value = int64[1] {{2}}> ()
        fourth = Constant <value = int64[1] {{3}}> ()
        shape = Shape (qkv)
        token_count = Gather (shape, fourth)
        tokens = Cast <to = 1> (token_count)
        {frames}
        summed_tokens = Mul (frames, tokens)
        root = Sqrt (summed_tokens)
        {_number("gain_a_root", KEY_GAIN)}
        root_gain = Mul (gain_a_root, root)
        {_number("least_gain", LEAST_KEY_GAIN)}
        gain = Max (least_gain, root_gain)
        factor = Div (gain, summed_tokens)

        wide_qkv = Cast <to = 1> (qkv)
        raw_query, raw_key, value = Split <axis = 2, num_outputs = 3> (wide_qkv)
        positive_query = Relu (raw_query)
        {_number("least_normal", _LEAST_NORMAL)}
        query_total = ReduceSum (positive_query, third)
        query_sum = Max (query_total, least_normal)
        query = Div (positive_query, query_sum)

        positive_key = Relu (raw_key)
        key = Mul (positive_key, factor)
        key_columns = Transpose <perm = [0, 1, 3, 2]> (key)
        value_rows = MatMul (value, key_columns)
        key_sum = ReduceSum (key, fourth)
        key_row = Transpose <perm = [0, 1, 3, 2]> (key_sum)
        summary = Concat <axis = 2> (value_rows, key_row)
        {sums}
        ratio = MatMul (sum, query)
        minus_one = Constant <value = int64[1] {{-1}}> ()
        end_of_axis = Constant <value = int64[1] {{{_LARGEST_INDEX}}}> ()
        numerator = Slice (ratio, first, minus_one, third)
        row_of_keys = Slice (ratio, minus_one, end_of_axis, third)
        {_number("eps_ref", eps)}
        eps_seen = Mul (seen, eps_ref)
        eps_scaled = Mul (eps_seen, factor)
        eps_query = Div (eps_scaled, query_sum)
        raised = Add (row_of_keys, eps_query)
        {_number("least_float", _LEAST_FLOAT)}
        denominator = Max (raised, least_float)
        wide_out = Div (numerator, denominator)
        out = CastLike (wide_out, qkv)
    }}
    """
    return onnx.parser.parse_function(text)


def _number(name: str, value: float) -> str:
    return f"{name} = Constant <value = float[1] {{{value!r}}}> ()"


def _list(values: Iterable[float]) -> str:
    return "{" + ", ".join(repr(value) for value in values) + "}"
