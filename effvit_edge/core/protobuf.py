"""The fields of a protobuf message, read with nothing but the standard library."""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIGN = 1 << 63

Value = int | memoryview
"""An integer, or the bytes of a part: a message, a text, packed numbers or a fixed number."""


def fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """The fields of a message: number, and an integer or the bytes of a part.

    Raises:
        ValueError: the message is cut off, or is none.
    """
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


def numbers(value: Value) -> Iterator[int]:
    """A repeated number: one of it, or packed ones."""
    if isinstance(value, int):
        yield value
        return
    position = 0
    while position < len(value):
        number, position = _varint(value, position)
        yield number


def as_number(value: Value) -> int:
    """An integer; one that is not negative comes as it is."""
    if not isinstance(value, int):
        raise ValueError("a part stands where a number belongs")
    return value if value < _SIGN else value - 2 * _SIGN


def as_part(value: Value) -> memoryview:
    """The bytes of a part."""
    if isinstance(value, int):
        raise ValueError("a number stands where a part belongs")
    return value


def as_text(value: Value | None) -> str:
    """A text; empty where there is none."""
    return "" if value is None else str(as_part(value), "utf-8")


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
