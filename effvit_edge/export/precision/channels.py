"""What one scale for a whole tensor costs, and how it is taken back: channel by channel.

TensorRT takes one symmetric scale for an activation. Channels differ in size, though, and what
comes out of a HardSwish reaches from -0.375 upwards, so most steps of eight bits would stay unused.
Moved and scaled, every channel uses all of them; the layer's weights and bias undo it, exactly in
float32. This is the channel-wise shifting and scaling of Outlier Suppression+ (Wei et al. 2023,
arXiv:2304.09145), with the constants taken from each channel's extremes.

Notation: ``C`` channels of the input, ``O`` of the output.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from effvit_edge.export.precision.graph import constant

_Array = npt.NDArray[np.float32]
_NARROWEST = 1e-3
"""Least width of a channel, as a part of the widest one's: nearly constant ones need no more."""


@dataclass(frozen=True)
class Range:
    """The values of a tensor."""

    largest: float
    """The magnitude to hold with one scale; beyond it, values saturate."""
    mean: tuple[float, ...] = ()
    """``C``, of what convolutions read."""
    low: tuple[float, ...] = ()
    """``C``, where channels are to be moved and scaled; else nothing."""
    high: tuple[float, ...] = ()


Ranges = Mapping[str, Range]
"""By tensor."""


def even_channels(
    model: onnx.ModelProto, ranges: Ranges, nodes: Collection[str]
) -> tuple[onnx.ModelProto, dict[str, Range]]:
    """The same function, where inputs of convolutions reach from -1 to 1 in every channel.

    Where a convolution pads with zeros, channels are scaled only: a zero has to stay one.

    Args:
        model: in float32.
        ranges: tensors without ``low`` and ``high`` are left alone.
        nodes: the layers to do this for, ungrouped ones.

    Returns:
        The graph, and the ranges with those of the new tensors.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    found = dict(ranges)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    made: dict[str, tuple[_Array, _Array]] = {}
    ordered: list[onnx.NodeProto] = []
    for node in result.graph.node:
        known = ranges.get(node.input[0]) if node.input else None
        if node.name in nodes and node.op_type == "Conv" and known is not None and known.low:
            padded = any(any(a.ints) for a in node.attribute if a.name == "pads")
            name = f"{node.input[0]}_{'scaled' if padded else 'even'}"
            if name not in made:
                centre, width = made[name] = _centre_and_width(known, padded)
                ordered.extend(_move_and_scale(result.graph, node.input[0], name, centre, width))
                found[name] = _moved(known, centre, width)
            centre, width = made[name]
            weight = numpy_helper.to_array(weights[node.input[1]])
            bias = np.tensordot(weight.sum((2, 3)), centre, 1)
            node.input[0] = name
            _replace_input(result.graph, node, 1, weight * width[:, None, None])
            add_to_bias(result.graph, node, bias)
        ordered.append(node)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del result.graph.node[:]
    result.graph.node.extend(copies)
    return result, found


def add_to_bias(graph: onnx.GraphProto, node: onnx.NodeProto, values: _Array) -> None:
    """Give a convolution a bias of its own that is larger by ``values (O,)``."""
    held = {tensor.name: tensor for tensor in graph.initializer}
    if len(node.input) > 2:
        values = values + numpy_helper.to_array(held[node.input[2]])
    else:
        node.input.append("")
    _replace_input(graph, node, 2, values)


def _centre_and_width(known: Range, padded: bool) -> tuple[_Array, _Array]:
    """What maps a channel's extremes to -1 and 1."""
    low, high = np.array(known.low, np.float32), np.array(known.high, np.float32)
    centre: _Array = (low + high) * np.float32(0 if padded else 0.5)
    width: _Array = np.maximum(high - centre, centre - low)
    if not width.any():
        return centre, np.ones_like(width)
    return centre, width.clip(_NARROWEST * width.max())


def _move_and_scale(
    graph: onnx.GraphProto, tensor: str, name: str, centre: _Array, width: _Array
) -> list[onnx.NodeProto]:
    """Nodes that make the tensor ``name``; moved first, since near numbers subtract exactly."""
    nodes, source = [], tensor
    if centre.any():
        graph.initializer.append(constant(f"{name}_offset", -centre[:, None, None]))
        source = f"{name}_moved"
        offset = f"{name}_offset"
        nodes.append(helper.make_node("Add", [tensor, offset], [source], name=f"move_{name}"))
    graph.initializer.append(constant(f"{name}_factor", 1 / width[:, None, None]))
    factor = f"{name}_factor"
    nodes.append(helper.make_node("Mul", [source, factor], [name], name=f"scale_{name}"))
    return nodes


def _moved(known: Range, centre: _Array, width: _Array) -> Range:
    low, high, mean = (
        tuple(((np.array(values, np.float32) - centre) / width).tolist())
        for values in (known.low, known.high, known.mean)
    )
    return replace(known, largest=1.0, low=low, high=high, mean=mean)


def _replace_input(
    graph: onnx.GraphProto, node: onnx.NodeProto, index: int, values: _Array
) -> None:
    """Let a node read a constant of its own."""
    name = f"{node.name}_{('input', 'weight', 'bias')[index]}"
    own = constant(name, values.astype(np.float32))
    for tensor in graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(own)
            break
    else:
        graph.initializer.append(own)
    node.input[index] = name
