"""A segment of ``effvit-edge prepare`` as footage: each picture one read and one JPEG."""

from __future__ import annotations

import os
import zlib
from functools import partial
from pathlib import Path

import numpy as np

from effvit_edge.core.errors import InputError
from effvit_edge.core.optional import require
from effvit_edge.core.video import Losses
from effvit_edge.data.footage.segment import SegmentFootage
from effvit_edge.data.footage.strip import Shown
from effvit_edge.data.prepare.index import find_entry
from effvit_edge.data.prepare.layout import REMEDY, Entry, read_table
from effvit_edge.data.segments import PreparedShards, Segment
from effvit_edge.data.types import Frames


class ShardFootage(SegmentFootage):
    """See :class:`effvit_edge.data.footage.base.Footage`.

    Frames keep the times that they have in their source, so a frame is chosen as it would be
    there.

    Args:
        segment: as a prepared set lists it.
        storage: that list's.
    """

    def __init__(self, segment: Segment, storage: PreparedShards) -> None:
        super().__init__(segment, self._open)
        self._path, self._name, self._index = segment.path, segment.name, storage.index

    def duration_s(self) -> float:
        """See ``Footage.duration_s``; what the source stated."""
        return find_entry(self._index, self._name).duration_s

    def lead_s(self) -> float:
        """See ``Footage.lead_s``; what was kept of it."""
        return find_entry(self._index, self._name).lead_s

    def _open(self) -> ShardStrip:
        return ShardStrip(self._path, find_entry(self._index, self._name))


class ShardStrip:
    """See :class:`effvit_edge.data.footage.strip.Strip`.

    Args:
        shard: the tar file.
        entry: where in it the segment lies.

    Raises:
        InputError: the shard is missing, or damaged there.
    """

    def __init__(self, shard: Path, entry: Entry) -> None:
        self.losses = Losses()
        self._shard = shard
        self._entry = entry
        self._position = 0
        try:
            self._descriptor: int | None = os.open(shard, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise InputError(
                f"{shard}, which holds segment {entry.name}, cannot be read: {error.strerror}. "
                f"{REMEDY}"
            ) from error
        try:
            table = read_table(self._read(*entry.table))
        except (InputError, ValueError) as error:
            self.close()
            if isinstance(error, InputError):
                raise
            raise self._damaged("its table of frames does not read") from error
        self._times = table["time_s"]
        self._ends = table["end"].tolist()
        self._sums = table["crc32"].tolist()

    def duration_s(self) -> float:
        """See ``Strip.duration_s``."""
        return self._entry.start_s + self._entry.duration_s

    def go_to(self, seconds: float) -> None:
        """See ``Strip.go_to``."""
        self._position = max(0, int(np.searchsorted(self._times, seconds, side="right")) - 1)

    def gains(self, now: float, seconds: float) -> bool:
        """See ``Strip.gains``: going anywhere costs nothing."""
        return True

    def read(self) -> Shown | None:
        """See ``Strip.read``."""
        number = self._position
        if number >= len(self._times):
            return None
        self._position += 1
        return Shown(float(self._times[number]), partial(self._picture, number))

    def close(self) -> None:
        """See ``Strip.close``."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _picture(self, number: int) -> Frames:
        """Read and decode one picture."""
        cv2 = require("cv2", "video")
        begin = self._ends[number - 1] if number else 0
        content = self._read(self._entry.pictures[0] + begin, self._ends[number] - begin)
        if zlib.crc32(content) != self._sums[number]:
            raise self._damaged(f"frame {number} is not as it was written")
        bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        rgb: Frames = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr)
        return rgb

    def _read(self, offset: int, size: int) -> bytes:
        assert self._descriptor is not None
        content = os.pread(self._descriptor, size, offset)
        if len(content) < size:
            raise InputError(
                f"{self._shard} is cut short: segment {self._entry.name} is not whole in it. "
                f"{REMEDY}"
            )
        return content

    def _damaged(self, how: str) -> InputError:
        return InputError(
            f"{self._shard} is damaged at segment {self._entry.name}: {how}. {REMEDY}"
        )
