"""What an ONNX file says about itself, read with nothing but the standard library.

A device that runs engines has no onnx package. The file is a protobuf message; the numbers here are
the fields of ``ModelProto`` and its parts in onnx.proto3. Weights are counted, not read.
"""

from __future__ import annotations

import dataclasses
import mmap
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from effvit_edge.core.errors import InputError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
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
_Value = int | memoryview
_NOTHING = memoryview(b"")


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of the graph, or the elements of a weight."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    """Sizes; a name where the graph leaves one open."""


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
    for field, value in _fields(data):
        if field == 1:
            ir_version = _number(value)
        elif field == 7:
            graph = _part(value)
        elif field == 8:
            entry = dict(_fields(_part(value)))
            opsets[_text(entry.get(1))] = _number(entry.get(2, 0))
        elif field == 14:
            entry = dict(_fields(_part(value)))
            metadata[_text(entry.get(1))] = _text(entry.get(2))
        elif field == 25:
            entry = dict(_fields(_part(value)))
            functions.add(f"{_text(entry.get(10))}::{_text(entry.get(1))}")
    if not ir_version or not graph:
        raise ValueError("it has no graph")
    header = _with_graph(graph, ir_version, opsets, metadata)
    return dataclasses.replace(header, functions=frozenset(functions))


def _with_graph(
    graph: memoryview, ir_version: int, opsets: dict[str, int], metadata: dict[str, str]
) -> OnnxHeader:
    inputs, outputs = [], []
    ops: Counter[str] = Counter()
    weights: Counter[str] = Counter()
    for field, value in _fields(graph):
        if field == 1:
            ops[_operator(_part(value))] += 1
        elif field == 5:
            dtype, elements = _weight(_part(value))
            weights[dtype] += elements
        elif field == 11:
            inputs.append(_tensor(_part(value)))
        elif field == 12:
            outputs.append(_tensor(_part(value)))
    return OnnxHeader(
        ir_version,
        opsets,
        metadata,
        tuple(inputs),
        tuple(outputs),
        dict(ops.most_common()),
        dict(weights),
    )


def _operator(node: memoryview) -> str:
    entry = dict(_fields(node))
    name, domain = _text(entry.get(4)), _text(entry.get(7))
    return f"{domain}::{name}" if domain else name


def _weight(tensor: memoryview) -> tuple[str, int]:
    dtype, elements = 0, 1
    for field, value in _fields(tensor):
        if field == 1:
            for size in [value] if isinstance(value, int) else _varints(value):
                elements *= size
        elif field == 2:
            dtype = _number(value)
    return _dtype(dtype), elements


def _tensor(info: memoryview) -> TensorInfo:
    entry = dict(_fields(info))
    kind = dict(_fields(_part(entry.get(2, _NOTHING))))
    tensor = dict(_fields(_part(kind.get(1, _NOTHING))))
    axes = _fields(_part(tensor[2])) if 2 in tensor else iter(())
    shape = tuple(_axis(_part(axis)) for field, axis in axes if field == 1)
    return TensorInfo(_text(entry.get(1)), _dtype(_number(tensor.get(1, 0))), shape)


def _axis(axis: memoryview) -> int | str:
    entry = dict(_fields(axis))
    return _number(entry[1]) if 1 in entry else _text(entry.get(2)) or "?"


def _dtype(number: int) -> str:
    return _ELEMENT_TYPES.get(number, f"type {number}")


def _fields(data: memoryview) -> Iterator[tuple[int, _Value]]:
    """The fields of a protobuf message: number, and an integer or the bytes of a part."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, position = _varint(data, position)
            yield field, value
            continue
        if wire == _BYTES:
            length, position = _varint(data, position)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"unknown wire type {wire}")
        if position + length > len(data):
            raise ValueError("it ends in the middle of a part")
        yield field, data[position : position + length]
        position += length


def _varints(data: memoryview) -> Iterator[int]:
    position = 0
    while position < len(data):
        value, position = _varint(data, position)
        yield value


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        if position >= len(data) or shift > 63:
            raise ValueError("it ends in the middle of a number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


def _number(value: _Value) -> int:
    if not isinstance(value, int):
        raise ValueError("a part stands where a number belongs")
    return value


def _part(value: _Value) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number stands where a part belongs")
    return value


def _text(value: _Value | None) -> str:
    return "" if value is None else str(_part(value), "utf-8")
