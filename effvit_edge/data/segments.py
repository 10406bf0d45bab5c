"""Which footage there is and what it is labelled: what every dataset's lists come down to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from effvit_edge.core.card import LabelGroup


@dataclass(frozen=True)
class Segment:
    """One labelled stretch of footage."""

    name: str
    """The set's own id, or the path below the root: unique in its list, for messages."""
    path: Path
    """What the list's storage says it is: a video file, a folder of chunks, a folder of frames."""
    targets: tuple[int, ...]
    """A class number for each label group; of a multi-label group, the numbers that apply."""
    start_s: float = 0.0
    """Where it begins in the footage, seconds."""
    end_s: float | None = None
    """Where it ends, seconds; None: with the footage."""


@dataclass(frozen=True)
class VideoFiles:
    """Each path is a video file."""


@dataclass(frozen=True)
class ChunkFolders:
    """Each path is a folder that holds a video cut into files named by their start in seconds."""

    seconds: float = 15.0
    """Length of a chunk."""
    suffix: str = ".MP4"


@dataclass(frozen=True)
class FrameFolders:
    """Each path is a folder of pictures."""

    pattern: str = "img_{:05d}.jpg"
    """Name of a frame by its number."""
    first: int = 1
    """Number of the first frame."""
    fps: float = 30.0
    """Rate at which the frames were taken, which pictures do not tell."""


@dataclass(frozen=True)
class PreparedShards:
    """Each path is a shard of ``effvit-edge prepare``; the segment's name finds it there."""

    index: Path
    """The part's index file."""


Storage = VideoFiles | ChunkFolders | FrameFolders | PreparedShards


def states_length(segment: Segment, storage: Storage) -> bool:
    """Whether the length of a segment is known without opening its file."""
    return segment.end_s is not None or isinstance(storage, PreparedShards)


@dataclass(frozen=True)
class SegmentList:
    """Labelled segments, and the names of their classes."""

    groups: tuple[LabelGroup, ...]
    segments: tuple[Segment, ...]
    storage: Storage = VideoFiles()
    directional: bool = False
    """Whether mirroring changes the label, as with "left" and "right"."""

    @property
    def multi_label(self) -> bool:
        """Whether any number of labels can apply at once."""
        return not self.groups[0].exclusive
