"""A float32 graph that rounds as a half-precision graph does, after every node.

ONNX Runtime's CPU has few half-precision kernels: it computes most nodes in float32 and drops the
rounding between them, so it answers better than the device will. This shows what the device sees.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from effvit_edge.export.precision.graph import GraphView, constant

_HALF, _SINGLE = TensorProto.FLOAT16, TensorProto.FLOAT


def emulate_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same answers as ``model`` where every FP16 tensor is rounded and sums are float32.

    Inputs and outputs that were float16 become float32 and hold the same numbers. What comes out of
    a DequantizeLinear is not rounded: INT8 kernels never see it.

    Args:
        model: with float16 tensors; anything else comes back as it is.
    """
    view = GraphView(model)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    del graph.value_info[:]
    for tensor in (*graph.input, *graph.output):
        if tensor.type.tensor_type.elem_type == _HALF:
            tensor.type.tensor_type.elem_type = _SINGLE
    for weight in graph.initializer:
        if weight.data_type == _HALF:
            weight.CopyFrom(constant(weight.name, numpy_helper.to_array(weight).astype(np.float32)))
    nodes = []
    for node in graph.node:
        _widen_cast(node)
        nodes.append(node)
        if node.op_type == "DequantizeLinear":
            continue
        for index, name in enumerate(node.output):
            if view.element_type(name) == _HALF:
                node.output[index] = f"{name}_exact"
                nodes.extend(_round(f"{name}_exact", name))
    del graph.node[:]
    graph.node.extend(nodes)
    return result


def _widen_cast(node: onnx.NodeProto) -> None:
    if node.op_type != "Cast":
        return
    for attribute in node.attribute:
        if attribute.name == "to" and attribute.i == _HALF:
            attribute.i = _SINGLE


def _round(tensor: str, rounded: str) -> list[onnx.NodeProto]:
    half = f"{rounded}_half"
    return [
        helper.make_node("Cast", [tensor], [half], name=f"round_{rounded}", to=_HALF),
        helper.make_node("Cast", [half], [rounded], name=f"widen_{rounded}", to=_SINGLE),
    ]
