"""The metrics of a run: one JSON object a line, without holes or repeats after a resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from effvit_edge.core.files import atomic_path


class Journal:
    """Appends records with a ``step`` to a JSONL file, each line flushed when written.

    Args:
        path: the file.
        last_step: records of later steps are dropped first, because the run repeats them.
        evaluated: step of the last evaluation that will not be repeated, in the same way.
    """

    def __init__(self, path: Path, last_step: int, evaluated: int | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        last_evaluation = last_step if evaluated is None else evaluated
        kept = [
            record
            for record in read_journal(path)
            if record["step"] <= (last_evaluation if "eval" in record else last_step)
        ]
        with atomic_path(path) as new:
            new.write_text("".join(_line(record) for record in kept), encoding="utf-8")
        self._path = path

    def write(self, record: dict[str, Any]) -> None:
        """Append one record, which must have a ``step``."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(record))


def read_journal(path: Path) -> list[dict[str, Any]]:
    """All whole records of a journal; a line cut short by a crash ends it."""
    records: list[dict[str, Any]] = []
    if not path.exists():
        return records
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, sort_keys=True) + "\n"
