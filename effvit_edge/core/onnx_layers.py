"""What a graph computes, layer by layer: kind, precision and multiply-accumulates.

From a summary of the file alone, so that a device without the onnx package can tell.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from effvit_edge.core.attention_op import CLIP_OP, DOMAIN, STEP_OP
from effvit_edge.core.onnx_header import NodeInfo, OnnxHeader, TensorInfo, elements

_QUANTIZE, _DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
_OPERATORS = (f"{DOMAIN}::{CLIP_OP}", f"{DOMAIN}::{STEP_OP}")
_WEIGHTED = ("Conv", "Gemm", "MatMul")
_TYPES_OF_CAST = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 10: "float16"}
_BYTES = {
    "float64": 8,
    "int64": 8,
    "float32": 4,
    "int32": 4,
    "float16": 2,
    "bfloat16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}
_PRECISIONS = {"float32": "fp32", "float16": "fp16", "int8": "int8"}

DENSE, POINTWISE = "dense convolution", "pointwise convolution"
GROUPED, DEPTHWISE = "grouped convolution", "depthwise convolution"
LINEAR, PRODUCT, OPERATOR = "linear layer", "attention product", "attention operator"
OTHER = "other"
KINDS = (DENSE, POINTWISE, GROUPED, DEPTHWISE, LINEAR, PRODUCT, OPERATOR, OTHER)


@dataclass(frozen=True)
class LayerCount:
    """Layers of one kind and precision."""

    kind: str
    precision: str
    count: int
    macs: int | None
    """Of all of them; None where the file does not describe the tensors within the graph."""


@dataclass(frozen=True)
class LayerSummary:
    """What a graph is made of.

    MACs count convolutions, linear layers and matrix products, as ``nn.summary`` does. Of an
    attention operator they are the products with keys and with queries.
    """

    layers: tuple[LayerCount, ...]
    """In the order of ``KINDS``. Casts, Q/DQ and what only moves numbers are not counted."""
    macs: int | None
    """Of one run of the graph."""
    quantize_nodes: int
    dequantize_nodes: int


def summarize_layers(header: OnnxHeader) -> LayerSummary:
    """Count what a graph computes."""
    graph = LayerGraph(header)
    counts: dict[tuple[str, str], list[int | None]] = {}
    for node in header.nodes:
        kind = graph.kind(node)
        if kind is not None:
            counts.setdefault((kind, graph.precision(node)), []).append(graph.macs(node, kind))
    layers = [
        LayerCount(kind, precision, len(macs), _sum(macs))
        for (kind, precision), macs in counts.items()
    ]
    layers.sort(key=lambda layer: (KINDS.index(layer.kind), layer.precision))
    return LayerSummary(
        tuple(layers),
        _sum(layer.macs for layer in layers),
        header.ops.get(_QUANTIZE, 0),
        header.ops.get(_DEQUANTIZE, 0),
    )


_MOVES = {
    "Cast",
    "CastLike",
    "Concat",
    "Constant",
    "Expand",
    "Flatten",
    "Gather",
    "Identity",
    "Pad",
    "Reshape",
    "Shape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
    _QUANTIZE,
    _DEQUANTIZE,
}


class LayerGraph:
    """Looks up a graph's tensors: what kind of layer a node is, and what it costs."""

    def __init__(self, header: OnnxHeader) -> None:
        known = [*header.inner.values(), *header.inputs, *header.outputs]
        self._constants = header.constants
        self._tensors = {tensor.name: tensor for tensor in known} | dict(header.constants)
        self._makers = {name: node for node in header.nodes for name in node.outputs}
        self._types = {tensor.name: tensor.dtype for tensor in self._tensors.values()}
        for node in header.nodes:
            for name in node.outputs:
                self._types.setdefault(name, self._made_type(node))

    def kind(self, node: NodeInfo) -> str | None:
        """What a node is; None for one that computes nothing."""
        if node.op in _OPERATORS:
            return OPERATOR
        if node.op == "Gemm":
            return LINEAR
        if node.op == "MatMul":
            constant = any(self._constant(name) for name in node.inputs[:2])
            # a causal clip's sums over time are products with a constant, too, from the left
            return LINEAR if constant and not self._constant(node.inputs[0]) else PRODUCT
        if node.op != "Conv":
            return None if node.op in _MOVES else OTHER
        weight = self._constant(node.inputs[1])
        groups = node.numbers.get("group", 1)
        if groups > 1:
            alone = weight is not None and weight.shape[1:2] == (1,)
            return DEPTHWISE if alone else GROUPED
        kernel = weight.shape[2:] if weight is not None else ()
        return POINTWISE if set(kernel) == {1} else DENSE

    def precision(self, node: NodeInfo) -> str:
        """The type of a layer's weight as it is stored, or else of what a node reads."""
        stored = [self._constant(name) for name in node.inputs[1:2] if node.op in _WEIGHTED]
        dtype = stored[0].dtype if stored and stored[0] else self._types.get(node.inputs[0], "")
        return _PRECISIONS.get(dtype, dtype or "unknown")

    def macs(self, node: NodeInfo, kind: str) -> int | None:
        """Of a node; 0 for what is not counted."""
        if kind == OTHER:
            return 0
        if kind == OPERATOR:
            qkv = self._shape(node.inputs[0])
            return None if qkv is None else _attention_macs(qkv)
        out = self._shape(node.outputs[0])
        if out is None:
            return None
        if node.op == "Conv":
            weight = self._constant(node.inputs[1])
            return math.prod(out) * elements(weight) // int(weight.shape[0]) if weight else None
        left = self._shape(node.inputs[0])
        return None if left is None else math.prod(out) * left[-1]

    def bytes(self, name: str) -> int | None:
        """How much memory a tensor takes; None where the file does not describe it."""
        shape, width = self._shape(name), _BYTES.get(self._types.get(name, ""))
        return None if shape is None or width is None else math.prod(shape) * width

    def is_constant(self, name: str) -> bool:
        """Whether a tensor is the same in every run."""
        return self._constant(name) is not None

    def _constant(self, name: str) -> TensorInfo | None:
        """The constant that a tensor is, or is dequantised or cast from."""
        while name in self._makers and self._makers[name].op in (_DEQUANTIZE, "Cast"):
            name = self._makers[name].inputs[0]
        return self._constants.get(name)

    def _shape(self, name: str) -> tuple[int, ...] | None:
        tensor = self._tensors.get(name)
        if tensor is None:
            return None
        sizes = tuple(size for size in tensor.shape if isinstance(size, int))
        return sizes if len(sizes) == len(tensor.shape) else None

    def _made_type(self, node: NodeInfo) -> str:
        """Of a node's outputs: that of its first input, but for those that change it."""
        if node.op == "Cast":
            return _TYPES_OF_CAST.get(node.numbers.get("to", 0), "")
        # a scale has the type of what is dequantised, a zero point that of what is quantised
        place = {_DEQUANTIZE: 1, _QUANTIZE: 2}.get(node.op, 0)
        return self._types.get(node.inputs[place], "") if place < len(node.inputs) else ""


def _attention_macs(qkv: tuple[int, ...]) -> int:
    """``qkv (F, heads, 3d, N)``: ``[V; 1]·Kᵀ`` but for its row of ones, and its product with Q."""
    frames, heads, triple, tokens = qkv
    dim = triple // 3
    return frames * heads * tokens * dim * (2 * dim + 1)


def _sum(values: Iterable[int | None]) -> int | None:
    found = list(values)
    known = [value for value in found if value is not None]
    return sum(known) if len(known) == len(found) else None
