"""Keeps everything: for tests, and for people who embed this."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from effvit_edge.sinks.base import Image


class MemorySink:
    """Both kinds of sink at once; see ``records``, ``pictures`` and ``complete``."""

    def __init__(self) -> None:
        self.records: list[Mapping[str, Any]] = []
        self.pictures: list[tuple[float, Image]] = []
        self.complete: bool | None = None

    def write(self, item: Mapping[str, Any] | Image, pts_seconds: float | None = None) -> None:
        """A record, or a picture with its time."""
        if isinstance(item, Mapping):
            self.records.append(item)
        else:
            assert pts_seconds is not None
            self.pictures.append((pts_seconds, item))

    def close(self, complete: bool) -> Path | None:
        """See ``RecordSink.close``; there is no file."""
        self.complete = complete
        return None
