"""Frames decoded once and held in memory, as far as a budget goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from effvit_edge.core.errors import InputError
from effvit_edge.core.preprocess import resize_frame
from effvit_edge.data.failures import Failures
from effvit_edge.data.progress import track
from effvit_edge.data.sampling import Times
from effvit_edge.data.segments import Segment
from effvit_edge.data.types import Frames


class _HasSize(Protocol):
    @property
    def nbytes(self) -> int: ...


Kept = TypeVar("Kept", bound=_HasSize)


@dataclass(frozen=True, eq=False)
class Stretch:
    """Frames of a segment and when they are shown."""

    times_s: Times
    """``(T,)``, increasing, from the segment's start."""
    frames: Frames
    """``(T, H, W, 3)``."""

    @property
    def nbytes(self) -> int:
        """Of the frames."""
        return self.frames.nbytes


def read_stretch(
    pictures: Iterable[tuple[float, Frames]], shrink: Callable[[Frames], Frames]
) -> Stretch:
    """Gather timed pictures, each shrunk as it comes."""
    times: list[float] = []
    frames: list[Frames] = []
    for time, picture in pictures:
        times.append(time)
        frames.append(shrink(picture))
    return Stretch(np.array(times, dtype=np.float64), stack_frames(frames))


def stack_frames(frames: Sequence[Frames]) -> Frames:
    """``(T, H, W, 3)``; a stream may change its size on the way, what follows gets the first."""
    height, width = frames[0].shape[:2]
    return np.stack(
        [f if f.shape == frames[0].shape else resize_frame(f, height, width) for f in frames]
    )


class SegmentCache(Generic[Kept]):
    """The segments that can be read, some of them with what was read of them.

    Segments are read when this is made until one exceeds the budget; that one and those after it
    are left to be read whenever they are asked for.

    Args:
        segments: what to read.
        read: reads one.
        failures: where those go that cannot be read; they are left out.
        budget_bytes: of what is kept.
        description: for the progress bar.
        may_be_empty: whether it may be that nothing can be read; for a share of the segments.

    Raises:
        InputError: nothing can be read, or too much cannot.
    """

    def __init__(
        self,
        segments: Sequence[Segment],
        read: Callable[[Segment], Kept],
        *,
        failures: Failures,
        budget_bytes: int,
        description: str,
        may_be_empty: bool = False,
    ) -> None:
        self.segments: list[Segment] = []
        self.kept_bytes = 0
        self._kept: list[Kept | None] = []
        room = budget_bytes > 0
        for segment in track(segments, len(segments), description):
            kept: Kept | None = None
            if room:
                try:
                    kept = read(segment)
                except InputError as error:
                    failures.add(segment.name, error)
                    continue
                room = self.kept_bytes + kept.nbytes <= budget_bytes
                if room:
                    self.kept_bytes += kept.nbytes
                else:
                    kept = None
            self.segments.append(segment)
            self._kept.append(kept)
        if not self.segments and not may_be_empty:
            first = f" First: {failures.sentences[0]}" if failures.sentences else ""
            raise InputError(f"None of {len(segments)} videos can be decoded.{first}")

    def __getitem__(self, index: int) -> Kept | None:
        """What is kept of a segment; None where it has to be read again."""
        return self._kept[index]

    def is_whole(self) -> bool:
        """Whether every segment is kept."""
        return all(kept is not None for kept in self._kept)
