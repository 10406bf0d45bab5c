"""Strict reading of frozen dataclasses from plain mappings: nothing unknown, nothing guessed."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from effvit_edge.core.errors import InputError

T = TypeVar("T")

_SHOWN_NAMES = 40


def read(kind: type[T], value: object, where: str) -> T:
    """Build the dataclass ``kind`` from a mapping, recursively.

    Args:
        kind: a dataclass whose fields are scalars, tuples, optionals, mappings or dataclasses.
        value: what was read from YAML or JSON.
        where: dotted place of ``value``, for messages ("" at the top).

    Raises:
        InputError: unknown key, missing key or wrong type, naming the place and the nearest key.
    """
    if not isinstance(value, Mapping):
        raise InputError(f"{where or 'recipe'}: expected a section of keys, got {_show(value)}.")
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init}  # type: ignore[arg-type]
    for key in value:
        if key not in fields:
            raise InputError(unknown_key(_join(where, str(key)), str(key), fields))
    hints = typing.get_type_hints(kind)
    arguments: dict[str, Any] = {}
    for name, field in fields.items():
        place = _join(where, name)
        if name in value:
            arguments[name] = _convert(hints[name], value[name], place)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise InputError(f"{place} is missing.")
    return kind(**arguments)


def unknown_key(place: str, key: str, known: typing.Iterable[str]) -> str:
    """The sentence for an unknown key, with the nearest known one."""
    return unknown_name(f"{place}: unknown key", key, known)


def unknown_name(sentence: str, name: str, known: typing.Iterable[str]) -> str:
    """``sentence`` with a full stop, and the nearest known name or the first of all."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    more = ", …" if len(names) > _SHOWN_NAMES else ""
    listed = f" Known: {', '.join(names[:_SHOWN_NAMES])}{more}."
    return f"{sentence}.{f' Did you mean {near[0]!r}?' if near else listed}"


def plain(value: object) -> Any:
    """The JSON form of a recipe value: dataclasses to dicts, tuples to lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value


def _convert(hint: Any, value: object, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(hint, value, where)
    if origin is typing.Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            names = ", ".join(str(choice) for choice in choices)
            raise InputError(f"{where}: expected one of {names}, got {_show(value)}.")
        return value
    if origin is tuple:
        return _convert_tuple(typing.get_args(hint), value, where)
    if origin is Mapping:
        return _convert_mapping(typing.get_args(hint)[1], value, where)
    if dataclasses.is_dataclass(hint):
        return read(typing.cast("type[Any]", hint), value, where)
    return _convert_scalar(origin or hint, value, where)


def _convert_union(hint: Any, value: object, where: str) -> Any:
    options = [option for option in typing.get_args(hint) if option is not type(None)]
    if value is None and len(options) < len(typing.get_args(hint)):
        return None
    if len(options) == 1:
        return _convert(options[0], value, where)
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: expected a section of keys, got {_show(value)}.")
    kinds = {option.__dataclass_fields__["kind"].default: option for option in options}
    if value.get("kind") not in kinds:
        names = ", ".join(sorted(kinds))
        raise InputError(f"{where}.kind: expected one of {names}, got {_show(value.get('kind'))}.")
    return read(kinds[value["kind"]], value, where)


def _convert_tuple(arguments: tuple[Any, ...], value: object, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise InputError(f"{where}: expected a list, got {_show(value)}.")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    if len(arguments) != len(value):
        raise InputError(f"{where}: expected {len(arguments)} values, got {len(value)}.")
    return tuple(
        _convert(hint, item, f"{where}[{i}]")
        for i, (hint, item) in enumerate(zip(arguments, value, strict=True))
    )


def _convert_mapping(kind: Any, value: object, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: expected a section of keys, got {_show(value)}.")
    if kind in (Any, object):
        return value
    return {key: _convert(kind, item, _join(where, str(key))) for key, item in value.items()}


def _convert_scalar(kind: Any, value: object, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, str):  # YAML 1.1 reads 1e-3 as text
        with contextlib.suppress(ValueError):  # refused below, with the place and what was got
            value = float(value)
    wrong = (isinstance(value, bool) and kind is not bool) or not isinstance(value, kind)
    if wrong or (kind is float and not math.isfinite(typing.cast("float", value))):
        raise InputError(f"{where}: expected {_NAMES.get(kind, kind)}, got {_show(value)}.")
    return value


_NAMES = {int: "a whole number", float: "a finite number", str: "text", bool: "true or false"}


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
