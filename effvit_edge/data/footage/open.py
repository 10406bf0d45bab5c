"""Opening a segment's footage, wherever it is stored."""

from __future__ import annotations

from functools import partial

from effvit_edge.data.footage.base import Footage
from effvit_edge.data.footage.chunks import ChunkStrip
from effvit_edge.data.footage.frames import FrameStrip
from effvit_edge.data.footage.segment import SegmentFootage
from effvit_edge.data.footage.video import VideoStrip
from effvit_edge.data.segments import (
    ChunkFolders,
    FrameFolders,
    PreparedShards,
    Segment,
    Storage,
)


def open_footage(segment: Segment, storage: Storage) -> Footage:
    """The pictures of a segment; no file is touched before they are asked for.

    Args:
        segment: of a list.
        storage: that list's.
    """
    if isinstance(storage, PreparedShards):
        from effvit_edge.data.footage.shards import ShardFootage

        return ShardFootage(segment, storage)
    if isinstance(storage, ChunkFolders):
        return SegmentFootage(segment, partial(ChunkStrip, segment.path, storage))
    if isinstance(storage, FrameFolders):
        return SegmentFootage(segment, partial(FrameStrip, segment.path, storage))
    return SegmentFootage(segment, partial(VideoStrip, segment.path))
