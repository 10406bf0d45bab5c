"""What a dataset has to bring: a card with a parser.

A new set is one module of this package with a ``CARD``, and its name in ``registry.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from effvit_edge.data.segments import SegmentList

Part = Literal["train", "eval"]
Options = TypeVar("Options")


@dataclass(frozen=True)
class Source:
    """Which part of a dataset is asked for, and where it lies."""

    root: Path
    """The folder of the videos."""
    annotations: Path
    """The list, or the folder of the lists."""
    part: Part = "eval"
    filters: tuple[str, ...] = ()
    """``column=value`` and ``column!=value``; only for sets with ``SetCard.filters``."""


def _always(source: Source, options: Any) -> bool:
    return True


@dataclass(frozen=True)
class SetCard(Generic[Options]):
    """One dataset: what it is called, which options it takes and how its lists are read."""

    name: str
    summary: str
    """One line, for lists of the sets."""
    options: type[Options]
    """A frozen dataclass with a default for every field; read strictly from the recipe."""
    parse: Callable[[Source, Options], SegmentList]
    """Lists the segments of a part, in the order of the file. Does not look for the footage, except
    to tell which of several layouts there is. A set without a split gives everything for either
    part."""
    has_split: Callable[[Source, Options], bool] = _always
    """Whether the lists say what is for training and what for evaluation."""
    filters: bool = False
    """Whether the rows of the list can be filtered."""
    directional: bool = False
    """Whether mirroring changes a label; parsers copy it to the list."""
    lists: tuple[str, ...] = ()
    """The files that the annotations consist of, for messages and lists of the sets."""
    home: str = ""
    """Where the lists and videos are had."""
