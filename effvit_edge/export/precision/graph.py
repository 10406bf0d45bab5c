"""A graph with the questions that the passes ask of it: who makes, who reads, of which type."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import InputError
from effvit_edge.runtime.graph import CARD_KEY, NEXT_PREFIX

FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16})


class GraphView:
    """Looks up a graph's tensors; made anew when the graph has changed.

    Args:
        model: of static shapes.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
        self.nodes = list(model.graph.node)
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        values = [*inferred.input, *inferred.value_info, *inferred.output]
        self._types = {value.name: value.type.tensor_type for value in values}
        self.maker = {output: node for node in self.nodes for output in node.output if output}
        self.readers: defaultdict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                self.readers[name].append(node)

    def element_type(self, tensor: str) -> int:
        """Of ``TensorProto``; UNDEFINED for the name of an input that is left out."""
        if tensor in self.constants:
            return int(self.constants[tensor].data_type)
        return int(self._types[tensor].elem_type) if tensor in self._types else 0

    def shape(self, tensor: str) -> tuple[int, ...]:
        """Its sizes."""
        if tensor in self.constants:
            return tuple(self.constants[tensor].dims)
        return tuple(axis.dim_value for axis in self._types[tensor].shape.dim)

    def is_float(self, tensor: str) -> bool:
        """Whether it holds numbers that a pass may round."""
        return self.element_type(tensor) in FLOATS

    def makers(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The nodes whose outputs a node reads."""
        return [self.maker[name] for name in node.input if name in self.maker]

    def followers(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The nodes that read a node's outputs."""
        return [reader for output in node.output for reader in self.readers[output]]


def state_names(graph: onnx.GraphProto) -> set[str]:
    """The states among a graph's inputs."""
    outputs = {tensor.name for tensor in graph.output}
    return {t.name for t in graph.input if NEXT_PREFIX + t.name in outputs}


def constant(name: str, values: np.ndarray) -> TensorProto:
    """An initializer."""
    return numpy_helper.from_array(np.ascontiguousarray(values), name)


def sort_nodes(nodes: Iterable[onnx.NodeProto], known: Iterable[str]) -> list[onnx.NodeProto]:
    """The same nodes, each behind those it reads from, otherwise in the order they came.

    Args:
        nodes: of one graph.
        known: its inputs and initializers.
    """
    ready = {*known, ""}
    waiting, done = list(nodes), []
    while waiting:
        later = []
        for node in waiting:
            if ready.issuperset(node.input):
                done.append(node)
                ready.update(node.output)
            else:
                later.append(node)
        if len(later) == len(waiting):
            raise ValueError(f"node '{later[0].name}' reads what nothing makes")
        waiting = later
    return done


def read_card(model: onnx.ModelProto, where: str) -> ModelCard:
    """The card in a graph's metadata.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    props = {entry.key: entry.value for entry in model.metadata_props}
    if CARD_KEY not in props:
        raise InputError(
            f"{where} has no model card. Export the checkpoint with: effvit-edge export."
        )
    return ModelCard.from_json(props[CARD_KEY], source=where)


def write_card(model: onnx.ModelProto, card: ModelCard) -> None:
    """Put a card into a graph's metadata, in place of the one there is."""
    props = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, {**props, CARD_KEY: card.to_json()})
