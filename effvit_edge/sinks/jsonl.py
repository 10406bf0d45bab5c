"""One JSON object a line, written as soon as it is known."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from effvit_edge.core.errors import EdgeError
from effvit_edge.sinks.base import finish, partial_path, prepare, writing


class ReaderGone(EdgeError):
    """Whoever read a stream has closed it, and wants no more."""


class JsonlFileSink:
    """Writes a file, made when the first record comes.

    Args:
        path: the final name, replaced when the new file is complete.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._result: Path | None = None

    def write(self, record: Mapping[str, Any]) -> None:
        """See ``RecordSink.write``."""
        with writing(self._path):
            if self._file is None:
                # buffering=1: a line is on its way to the disk when this returns.
                self._file = prepare(self._path).open("w", encoding="utf-8", buffering=1)
            self._file.write(_line(record))

    def close(self, complete: bool) -> Path | None:
        """See ``RecordSink.close``."""
        if self._file is not None:
            with writing(self._path):
                self._file.close()
            self._file = None
            self._result = finish(self._path) if complete else partial_path(self._path)
        return self._result


class JsonlStreamSink:
    """Writes to a stream that is open already, such as standard output, and leaves it open."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, record: Mapping[str, Any]) -> None:
        """See ``RecordSink.write``."""
        try:
            self._stream.write(_line(record))
            self._stream.flush()
        except BrokenPipeError as error:
            _let_go(self._stream)
            raise ReaderGone("Whoever read the records from standard output is gone.") from error

    def close(self, complete: bool) -> Path | None:
        """See ``RecordSink.close``; there is no file."""
        return None


def _let_go(stream: TextIO) -> None:
    """Give what a stream still holds to nobody, or flushing it at exit would fail once more."""
    try:
        descriptor = stream.fileno()
    except OSError:  # not a file of the system's
        return
    nobody = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nobody, descriptor)
    os.close(nobody)


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
