"""The sets that there are, by name. A set's module is imported when the set is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from effvit_edge.core.errors import InputError
from effvit_edge.core.schema import unknown_name
from effvit_edge.data.sets.base import SetCard

_MODULES: Mapping[str, str] = {
    "csv": "csv_rows",
    "diving48": "diving48",
    "epic100": "epic100",
    "folder": "folder",
    "frames": "frames",
    "hmdb51": "hmdb51",
    "jester": "jester",
    "kinetics": "kinetics",
    "list": "text_list",
    "msrdaily": "msrdaily",
    "prepared": "prepared",
    "ssv2": "ssv2",
    "ucf101": "ucf101",
}


def list_sets() -> tuple[str, ...]:
    """The names that ``data.set`` takes, in alphabetical order."""
    return tuple(sorted(_MODULES))


def find_set(name: str) -> SetCard[Any]:
    """The card of a set.

    Raises:
        InputError: there is no such set; the nearest name is given.
    """
    if name not in _MODULES:
        raise InputError(unknown_name(f"data.set: there is no set '{name}'", name, _MODULES))
    module = importlib.import_module(f"effvit_edge.data.sets.{_MODULES[name]}")
    card: SetCard[Any] = module.CARD
    return card
