"""What an ONNX file says about itself, read with nothing but the standard library.

A device that runs engines has no onnx package. The file is a protobuf message; the numbers here are
the fields of ``ModelProto`` and its parts in onnx.proto3. Weights are counted, not read.
"""

from __future__ import annotations

import dataclasses
import math
import mmap
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from effvit_edge.core.errors import InputError
from effvit_edge.core.protobuf import as_number, as_part, as_text, fields, numbers

_ELEMENT_TYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    16: "bfloat16",
}
_NOTHING = memoryview(b"")


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of the graph, a constant, or a tensor within."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    """Sizes; a name where the graph leaves one open."""


@dataclass(frozen=True)
class NodeInfo:
    """A node of the graph."""

    op: str
    """The operator, ``domain::name`` outside of ONNX itself."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    numbers: Mapping[str, int]
    """The attributes that are one integer."""


@dataclass(frozen=True)
class OnnxHeader:
    """A summary of one ONNX file."""

    ir_version: int
    opsets: Mapping[str, int]
    metadata: Mapping[str, str]
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    ops: Mapping[str, int]
    """How many nodes of each operator, most frequent first."""
    weight_elements: Mapping[str, int]
    """How many elements the graph's constants have, by type."""
    nodes: tuple[NodeInfo, ...] = ()
    """In the graph's order."""
    constants: Mapping[str, TensorInfo] = dataclasses.field(default_factory=dict)
    inner: Mapping[str, TensorInfo] = dataclasses.field(default_factory=dict)
    """Tensors within the graph, as far as the file describes them."""
    functions: frozenset[str] = frozenset()
    """Operators whose body the file brings along, as they are named in ``ops``."""


def read_onnx_header(path: Path) -> OnnxHeader:
    """Summarise an ONNX file.

    Raises:
        InputError: the file is not there, empty, cut off or not ONNX.
    """
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        # closed with the last view of it, which an error's trace may hold
        return _read_model(memoryview(data))
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}.") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is not an ONNX file, or not all of one: {error}. "
            "Export it again with: effvit-edge export."
        ) from error


def _read_model(data: memoryview) -> OnnxHeader:
    ir_version, graph = 0, memoryview(b"")
    opsets: dict[str, int] = {}
    metadata: dict[str, str] = {}
    functions = set()
    for field, value in fields(data):
        if field == 1:
            ir_version = as_number(value)
        elif field == 7:
            graph = as_part(value)
        elif field == 8:
            entry = dict(fields(as_part(value)))
            opsets[as_text(entry.get(1))] = as_number(entry.get(2, 0))
        elif field == 14:
            entry = dict(fields(as_part(value)))
            metadata[as_text(entry.get(1))] = as_text(entry.get(2))
        elif field == 25:
            entry = dict(fields(as_part(value)))
            functions.add(f"{as_text(entry.get(10))}::{as_text(entry.get(1))}")
    if not ir_version or not graph:
        raise ValueError("it has no graph")
    header = _with_graph(graph, ir_version, opsets, metadata)
    return dataclasses.replace(header, functions=frozenset(functions))


def _with_graph(
    graph: memoryview, ir_version: int, opsets: dict[str, int], metadata: dict[str, str]
) -> OnnxHeader:
    nodes: list[NodeInfo] = []
    values: dict[int, list[TensorInfo]] = {5: [], 11: [], 12: [], 13: []}
    for field, value in fields(graph):
        if field == 1:
            nodes.append(_node(as_part(value)))
        elif field == 5:
            values[field].append(_constant(as_part(value)))
        elif field in values:
            values[field].append(_tensor(as_part(value)))
    constants, inputs, outputs, inner = values.values()
    weights: Counter[str] = Counter()
    for constant in constants:
        weights[constant.dtype] += elements(constant)
    return OnnxHeader(
        ir_version,
        opsets,
        metadata,
        tuple(inputs),
        tuple(outputs),
        dict(Counter(node.op for node in nodes).most_common()),
        dict(weights),
        tuple(nodes),
        {tensor.name: tensor for tensor in constants},
        {tensor.name: tensor for tensor in inner},
    )


def _node(node: memoryview) -> NodeInfo:
    name, domain = "", ""
    inputs, outputs = [], []
    integers = {}
    for field, value in fields(node):
        if field == 1:
            inputs.append(as_text(value))
        elif field == 2:
            outputs.append(as_text(value))
        elif field == 4:
            name = as_text(value)
        elif field == 5:
            entry = dict(fields(as_part(value)))
            if 3 in entry:
                integers[as_text(entry.get(1))] = as_number(entry[3])
        elif field == 7:
            domain = as_text(value)
    return NodeInfo(
        f"{domain}::{name}" if domain else name, tuple(inputs), tuple(outputs), integers
    )


def _constant(tensor: memoryview) -> TensorInfo:
    name, dtype = "", 0
    shape: list[int] = []
    for field, value in fields(tensor):
        if field == 1:
            shape += numbers(value)
        elif field == 2:
            dtype = as_number(value)
        elif field == 8:
            name = as_text(value)
    return TensorInfo(name, _dtype(dtype), tuple(shape))


def _tensor(info: memoryview) -> TensorInfo:
    entry = dict(fields(info))
    kind = dict(fields(as_part(entry.get(2, _NOTHING))))
    tensor = dict(fields(as_part(kind.get(1, _NOTHING))))
    axes = fields(as_part(tensor[2])) if 2 in tensor else iter(())
    shape = tuple(_axis(as_part(axis)) for field, axis in axes if field == 1)
    return TensorInfo(as_text(entry.get(1)), _dtype(as_number(tensor.get(1, 0))), shape)


def _axis(axis: memoryview) -> int | str:
    entry = dict(fields(axis))
    return as_number(entry[1]) if 1 in entry else as_text(entry.get(2)) or "?"


def elements(tensor: TensorInfo) -> int:
    """How many numbers a tensor holds; axes that are open count once."""
    return math.prod(size for size in tensor.shape if isinstance(size, int))


def _dtype(number: int) -> str:
    return _ELEMENT_TYPES.get(number, f"type {number}")
