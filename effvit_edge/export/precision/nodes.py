"""What each node of an exported graph is for, told by the graph's structure and not by names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import onnx

from effvit_edge.core.attention_op import DOMAIN
from effvit_edge.export.precision.graph import GraphView

Kind = Literal["entry", "dense", "pointwise", "linear", "grouped", "attention", "head", "other"]
_AFFINE = {"Cast", "Unsqueeze", "Reshape", "Transpose", "Add", "Conv", "Concat", "Slice"}
_POOLING = {"ReduceMean", "GlobalAveragePool"}


def classify(model: onnx.ModelProto) -> dict[str, Kind]:
    """What every node is, by its name.

    ``dense`` and ``pointwise`` are ungrouped convolutions, ``grouped`` the others, depthwise ones
    among them; ``linear`` are products with a constant matrix; ``attention`` is what lies around
    products of two tensors, up to the next layer with weights; ``head`` is all behind the pooling;
    ``entry`` is what the pixels go through up to the first activation, where frames are
    compared there.
    """
    view = GraphView(model)
    kinds: dict[str, Kind] = {node.name: _weighted(view, node) or "other" for node in view.nodes}
    for node in attention_nodes(view):
        kinds[node.name] = "attention"
    for node in _head_nodes(view):
        kinds[node.name] = "head"
    for node in _entry_nodes(view, model.graph):
        kinds[node.name] = "entry"
    return kinds


def named_nodes(model: onnx.ModelProto, kind: Kind) -> list[str]:
    """The names of the nodes of one kind, in the graph's order."""
    return [name for name, found in classify(model).items() if found == kind]


def _weighted(view: GraphView, node: onnx.NodeProto) -> Kind | None:
    """The kind of a layer with weights; None for anything else."""
    if node.op_type in ("Gemm", "MatMul"):
        return "linear" if any(name in view.constants for name in node.input[:2]) else None
    if node.op_type != "Conv":
        return None
    group = next((a.i for a in node.attribute if a.name == "group"), 1)
    if group > 1:
        return "grouped"
    return "pointwise" if set(view.shape(node.input[1])[2:]) == {1} else "dense"


def attention_nodes(view: GraphView) -> list[onnx.NodeProto]:
    """The nodes around products of two tensors, up to the layers with weights on both sides."""

    def plain(node: onnx.NodeProto) -> bool:
        return _weighted(view, node) is None

    products = [n for n in view.nodes if n.domain == DOMAIN or (n.op_type == "MatMul" and plain(n))]
    behind = _reach(products, view.followers, plain)
    around = _reach(behind.values(), view.makers, plain)
    return [node for node in view.nodes if node.name in around]


def _head_nodes(view: GraphView) -> list[onnx.NodeProto]:
    """What follows the last pooling over the picture."""
    pooled = [n for n in view.nodes if n.op_type in _POOLING and len(view.shape(n.input[0])) == 4]
    if not pooled:
        return []
    found = _reach(pooled[-1:], view.followers, lambda node: True)
    return [node for node in view.nodes if node.name in found]


def _entry_nodes(view: GraphView, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """What follows the pixels' cast, up to the first activation; nothing for single images.

    Where frames are compared there, large sums of their pixels nearly cancel, and what is left is
    as small as half precision's rounding of them.
    """

    def affine(node: onnx.NodeProto) -> bool:
        if node.op_type == "Mul":  # of two tensors it is part of an activation
            return any(name in view.constants for name in node.input)
        return node.op_type in _AFFINE

    (cast,) = view.readers[graph.input[0].name]
    found = _reach([cast], view.followers, affine)
    nodes = [node for node in view.nodes if node.name in found and node is not cast]
    frames_compared = sum(node.op_type == "Conv" for node in nodes)
    return nodes if frames_compared > 1 else []


def _reach(
    start: Iterable[onnx.NodeProto],
    neighbours: Callable[[onnx.NodeProto], list[onnx.NodeProto]],
    enters: Callable[[onnx.NodeProto], bool],
) -> dict[str, onnx.NodeProto]:
    """All nodes that can be reached over nodes that may be entered, the start included."""
    found = {node.name: node for node in start}
    waiting = list(found.values())
    while waiting:
        for node in neighbours(waiting.pop()):
            if node.name not in found and enters(node):
                found[node.name] = node
                waiting.append(node)
    return found
