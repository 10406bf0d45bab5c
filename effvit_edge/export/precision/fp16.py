"""Half precision, written into the graph: every tensor has its type, and casts stand between them.

onnxruntime's own pass was tried and left: with nodes to spare it writes two nodes of one name,
rounds between neighbours that are both spared, and leaves the nodes out of order.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from effvit_edge.export.precision.graph import GraphView, constant, sort_nodes, state_names
from effvit_edge.runtime.graph import NEXT_PREFIX

LEAST_NORMAL = 2.0**-14
"""Of half precision."""
_LARGEST = 65504.0
_NAMES: dict[int, str] = {TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16"}
_QUANTISERS = {"QuantizeLinear", "DequantizeLinear"}


def to_fp16(model: onnx.ModelProto, *, islands: Collection[str] = ()) -> onnx.ModelProto:
    """A graph that computes in half precision.

    Pixels stay uint8 and logits float32. A state is kept in the precision of the node that makes
    it: more would be zeros, less would round once more.

    Args:
        model: in float32, maybe with Q/DQ.
        islands: names of nodes that stay in float32.

    Raises:
        ValueError: a node that the graph does not have.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    unknown = set(islands) - {node.name for node in model.graph.node}
    if unknown:
        raise ValueError(f"the graph has no node '{sorted(unknown)[0]}'")
    _Caster(result, frozenset(islands)).cast()
    onnx.checker.check_model(result, full_check=True)
    # Shapes within the graph stay in the file: inspect and estimates read them there.
    return onnx.shape_inference.infer_shapes(result, strict_mode=True, data_prop=True)


class _Caster:
    """Gives every tensor its type and puts casts where a node wants the other one."""

    def __init__(self, model: onnx.ModelProto, islands: frozenset[str]) -> None:
        self._graph = model.graph
        self._view = GraphView(model)
        self._islands = islands
        states = state_names(model.graph)
        self._narrow = {s for s in states if not self._is_wide(NEXT_PREFIX + s)}
        """States in half precision."""
        self._types: dict[str, int] = {}
        """Of the tensors that are float."""
        self._casts: dict[tuple[str, int], onnx.NodeProto] = {}
        self._constants: dict[tuple[str, int], TensorProto] = {}

    def cast(self) -> None:
        """Do it, in place."""
        graph = self._graph
        for tensor in graph.input:
            if self._view.is_float(tensor.name):
                self._types[tensor.name] = self._boundary(tensor)
        for node in graph.node:
            self._cast_node(node)
        ends = [self._cast_output(t) for t in graph.output if self._view.is_float(t.name)]
        nodes = [*graph.node, *self._casts.values(), *(node for node in ends if node)]
        constants = [t for t in graph.initializer if t.data_type != TensorProto.FLOAT]
        used = {name for node in nodes for name in node.input}
        constants = [t for t in [*constants, *self._constants.values()] if t.name in used]
        del graph.initializer[:], graph.value_info[:], graph.node[:]
        graph.initializer.extend(constants)
        known = [*(t.name for t in graph.input), *(t.name for t in constants)]
        graph.node.extend(sort_nodes(nodes, known))

    def _is_wide(self, tensor: str) -> bool:
        maker = self._view.maker.get(tensor)
        return maker is not None and maker.name in self._islands

    def _boundary(self, tensor: onnx.ValueInfoProto) -> int:
        """Set and give the type of an input or output: of a state, or of the logits."""
        narrow = tensor.name.removeprefix(NEXT_PREFIX) in self._narrow
        kind = TensorProto.FLOAT16 if narrow else TensorProto.FLOAT
        tensor.type.tensor_type.elem_type = kind
        return kind

    def _cast_node(self, node: onnx.NodeProto) -> None:
        kind = TensorProto.FLOAT if node.name in self._islands else TensorProto.FLOAT16
        for index, name in enumerate(node.input):
            if self._view.is_float(name):
                node.input[index] = self._as(name, kind, node)
        if node.op_type == "Cast":
            for attribute in node.attribute:
                if attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                    attribute.i = kind
        for name in node.output:
            if self._view.is_float(name):
                self._types[name] = kind

    def _as(self, name: str, kind: int, reader: onnx.NodeProto) -> str:
        """The tensor of that type; a cast, or a constant of that type, is made where needed."""
        if name in self._view.constants:
            return self._constant(name, kind, reader)
        if self._types[name] == kind:
            return name
        cast = self._casts.get((name, kind))
        if cast is None:
            made = f"{name}_as_{_NAMES[kind]}"
            cast = helper.make_node("Cast", [name], [made], name=f"cast_{made}", to=kind)
            self._casts[name, kind] = cast
        return str(cast.output[0])

    def _constant(self, name: str, kind: int, reader: onnx.NodeProto) -> str:
        original = self._view.constants[name]
        if kind == TensorProto.FLOAT:
            self._constants[name, kind] = original
            return name
        bound = reader.op_type == "Clip" or reader.op_type in _QUANTISERS
        made = f"{name}_{'bound_' if bound else ''}float16"
        values = numpy_helper.to_array(original)
        self._constants[made, kind] = constant(made, _half(values, keep_normal=bound))
        return made

    def _cast_output(self, tensor: onnx.ValueInfoProto) -> onnx.NodeProto | None:
        """Keep an output's name where its type is not the one it is computed in."""
        name = tensor.name
        made, wanted = self._types[name], self._boundary(tensor)
        if made == wanted:
            return None
        inner = f"{name}_as_{_NAMES[made]}"
        for node in [*self._graph.node, *self._casts.values()]:
            for names in (node.input, node.output):
                for index, found in enumerate(names):
                    if found == name:
                        names[index] = inner
        return helper.make_node("Cast", [inner], [name], name=f"cast_{name}", to=wanted)


def _half(values: np.ndarray, *, keep_normal: bool) -> np.ndarray:
    """Rounded to half precision; bounds and scales below its normal numbers are raised to them."""
    if keep_normal:
        small = (values > 0) & (values < LEAST_NORMAL)
        values = np.where(small, np.float32(LEAST_NORMAL), values)
    finite = np.isfinite(values)
    return np.where(finite, np.clip(values, -_LARGEST, _LARGEST), values).astype(np.float16)
