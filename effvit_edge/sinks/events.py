"""A table of the events, one line each, written when it has ended."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from effvit_edge.sinks.base import finish, partial_path, prepare, writing

COLUMNS = ("id", "source", "label", "score", "start_s", "end_s")


class EventsCsvSink:
    """Writes a CSV file with a header, made with the first event, or when complete without one.

    Args:
        path: the final name, replaced when the new file is complete.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._result: Path | None = None
        self._closed = False

    def write(self, record: Mapping[str, Any]) -> None:
        """See ``RecordSink.write``: an event that has ended."""
        with writing(self._path):
            file = self._opened()
            csv.writer(file, lineterminator="\n").writerow([record[name] for name in COLUMNS])
            file.flush()

    def close(self, complete: bool) -> Path | None:
        """See ``RecordSink.close``."""
        if not self._closed:
            self._closed = True
            if self._file is None and not complete:
                return None
            with writing(self._path):
                self._opened().close()
            self._result = finish(self._path) if complete else partial_path(self._path)
        return self._result

    def _opened(self) -> TextIO:
        if self._file is None:
            self._file = prepare(self._path).open("w", encoding="utf-8", newline="")
            csv.writer(self._file, lineterminator="\n").writerow(COLUMNS)
        return self._file
