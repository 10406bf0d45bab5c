"""One row of the doctor's table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["fine", "warning", "missing"]


@dataclass(frozen=True)
class Row:
    """What was looked at, what was found, and what to do."""

    topic: str
    status: Status
    found: str
    """A few words."""
    remedy: str | None = None
    """The command or step that mends it; of every row that is not fine."""


def fine(topic: str, found: str) -> Row:
    """Nothing to do."""
    return Row(topic, "fine", found)


def warning(topic: str, found: str, remedy: str) -> Row:
    """It works without, less well or not all of it."""
    return Row(topic, "warning", found, remedy)


def missing(topic: str, found: str, remedy: str) -> Row:
    """Labelling cannot work like this."""
    return Row(topic, "missing", found, remedy)
