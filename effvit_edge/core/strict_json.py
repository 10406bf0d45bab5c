"""Reading JSON that must be exactly what is expected: nothing unknown, missing or mistyped."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import NoReturn, TypeAlias

from effvit_edge.core.errors import InputError

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"

_SHOWN_CHARACTERS = 60


def parse_object(text: str) -> dict[str, JSON]:
    """Parse a JSON object.

    Raises:
        InputError: not JSON, a key twice in one object, NaN or infinity, or not an object.
    """
    try:
        parsed = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not valid JSON ({error})") from error
    if not isinstance(parsed, dict):
        raise InputError(f"expected a JSON object, got {shown(parsed)}")
    return parsed


def normalise(value: JSON, name: str) -> JSON:
    """The value as JSON would give it back: tuples become lists, nothing is shared.

    Raises:
        InputError: the value does not fit into JSON (another type, NaN, a key that is no text).
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"'{name}' must be a finite number, got {value}")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return normalise_mapping(value, name)
    if isinstance(value, (list, tuple)):
        return [normalise(item, f"{name}[{i}]") for i, item in enumerate(value)]
    raise InputError(f"'{name}' must fit into JSON, got a {type(value).__name__}")


def normalise_mapping(mapping: Mapping[str, JSON], name: str) -> dict[str, JSON]:
    """:func:`normalise` for a mapping at the top.

    Raises:
        InputError: as :func:`normalise`.
    """
    for key in mapping:
        if not isinstance(key, str):
            raise InputError(f"'{name}' must have text keys, got {shown(key)}")
    return {key: normalise(value, f"{name}.{key}") for key, value in mapping.items()}


def check_keys(found: Mapping[str, JSON], expected: Sequence[str], name: str) -> None:
    """Refuse keys that are missing or unknown.

    Raises:
        InputError: naming both lists.
    """
    missing = [key for key in expected if key not in found]
    unknown = [key for key in found if key not in expected]
    if missing or unknown:
        problems = [f"misses {', '.join(missing)}"] if missing else []
        problems += [f"has unknown {', '.join(unknown)}"] if unknown else []
        raise InputError(f"{name} {' and '.join(problems)}; expected {', '.join(expected)}")


def as_text(value: JSON, name: str) -> str:
    """The value, if it is text."""
    if not isinstance(value, str):
        _refuse(name, "text", value)
    return value


def as_integer(value: JSON, name: str) -> int:
    """The value, if it is an integer (true and false are not)."""
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse(name, "an integer", value)
    return value


def as_number(value: JSON, name: str) -> float:
    """The value as a float, if it is a finite number (true and false are not)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        _refuse(name, "a number", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        _refuse(name, "a finite number", value)
    return number


def as_list(value: JSON, name: str) -> list[JSON]:
    """The value, if it is a list."""
    if not isinstance(value, list):
        _refuse(name, "a list", value)
    return value


def as_object(value: JSON, name: str) -> dict[str, JSON]:
    """The value, if it is an object."""
    if not isinstance(value, dict):
        _refuse(name, "an object", value)
    return value


def shown(value: object) -> str:
    """A value in an error message, cut when long."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def _refuse(name: str, expected: str, value: object) -> NoReturn:
    raise InputError(f"'{name}' must be {expected}, got {shown(value)}")


def _no_duplicates(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {shown(twice)} appears twice")
    return result


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not allowed")
