"""A folder of chunks as one strip: a video cut into files that are named by their start.

AVION cuts EPIC-KITCHENS-100 so: ``P01/P01_01.MP4/15.MP4`` holds seconds 15 to 30 of the video, and
its own timestamps begin at zero again.
"""

from __future__ import annotations

import math
from contextlib import closing, suppress
from pathlib import Path

from effvit_edge.core.errors import InputError
from effvit_edge.core.video import Losses
from effvit_edge.data.footage.strip import Shown
from effvit_edge.data.footage.video import VideoStrip
from effvit_edge.data.segments import ChunkFolders

_SAME_S = 1e-3


class ChunkStrip:
    """See :class:`effvit_edge.data.footage.strip.Strip`.

    A chunk that is missing between others is passed over: its pictures are lost, and said so.

    Args:
        folder: of one video's chunks.
        storage: how they are named and how long they are.

    Raises:
        InputError: no such folder, or no chunk in it.
    """

    def __init__(self, folder: Path, storage: ChunkFolders) -> None:
        self.losses = Losses()
        self._length_s = storage.seconds
        self._chunks = _list_chunks(folder, storage.suffix)
        self._position = 0
        """In the list, of the chunk being read."""
        self._strip: VideoStrip | None = None

    def duration_s(self) -> float:
        """Up to the end of the last chunk."""
        start, path = self._chunks[-1]
        with closing(VideoStrip(path)) as strip:
            return start + strip.duration_s()

    def go_to(self, seconds: float) -> None:
        """See ``Strip.go_to``."""
        position = max(
            (i for i, (start, _) in enumerate(self._chunks) if start <= seconds), default=0
        )
        if position != self._position:
            self._leave()
            self._position = position
        start, _ = self._chunks[position]
        self._enter().go_to(min(seconds - start, self._length_s))

    def gains(self, now: float, seconds: float) -> bool:
        """See ``Strip.gains``."""
        start, _ = self._chunks[self._position]
        if seconds - start >= self._length_s:
            return True
        return self._enter().gains(now - start, seconds - start)

    def read(self) -> Shown | None:
        """See ``Strip.read``."""
        while self._position < len(self._chunks):
            start, _ = self._chunks[self._position]
            shown = self._enter().read()
            # A chunk may hold a picture more than its share, which the next one has again.
            if shown is not None and not self._is_next_chunks(start + shown.seconds):
                return Shown(start + shown.seconds, shown.to_rgb)
            self._leave()
            self._position += 1
            self._tell_gap()
        return None

    def close(self) -> None:
        """See ``Strip.close``."""
        self._leave()
        self._position = len(self._chunks)

    def _is_next_chunks(self, seconds: float) -> bool:
        following = self._position + 1
        return following < len(self._chunks) and seconds >= self._chunks[following][0] - _SAME_S

    def _tell_gap(self) -> None:
        if self._position < len(self._chunks):
            expected = self._chunks[self._position - 1][0] + self._length_s
            if self._chunks[self._position][0] > expected + _SAME_S:
                self.losses.add(0, f"the chunk from {expected:g} s is missing")

    def _enter(self) -> VideoStrip:
        if self._strip is None:
            self._strip = VideoStrip(self._chunks[self._position][1])
        return self._strip

    def _leave(self) -> None:
        if self._strip is None:
            return
        self.losses.include(self._strip.losses)
        self._strip.close()
        self._strip = None


def _list_chunks(folder: Path, suffix: str) -> list[tuple[float, Path]]:
    """Where the chunks of a folder begin, seconds, and their files, in order."""
    if not folder.is_dir():
        raise InputError(f"There is no folder of chunks {folder}.")
    chunks = []
    for path in folder.iterdir():
        if path.suffix == suffix:
            with suppress(ValueError):  # another file, such as a thumbnail
                chunks.append((float(path.stem), path))
    chunks = sorted(chunk for chunk in chunks if math.isfinite(chunk[0]))
    if not chunks:
        raise InputError(f"{folder} has no chunk such as 0{suffix}.")
    return chunks
