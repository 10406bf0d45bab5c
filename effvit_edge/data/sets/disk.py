"""Which of a list's footage lies on this disk."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from pathlib import Path

from effvit_edge.core.errors import InputError
from effvit_edge.data.segments import (
    ChunkFolders,
    FrameFolders,
    PreparedShards,
    Segment,
    SegmentList,
    Storage,
)


def drop_missing(segments: SegmentList) -> tuple[SegmentList, tuple[str, ...]]:
    """What lies on disk, and a sentence for each file that does not.

    Only names are looked at; whether a file can be decoded shows when it is.

    Raises:
        InputError: nothing is there.
    """
    if isinstance(segments.storage, PreparedShards):
        return segments, ()
    by_path: dict[Path, list[Segment]] = defaultdict(list)
    for segment in segments.segments:
        by_path[segment.path].append(segment)
    lost: set[int] = set()
    sentences = []
    for path, members in by_path.items():
        for what, gone in _missing(path, members, segments.storage):
            lost |= {id(segment) for segment in gone}
            many = f", which {len(gone)} segments need" if len(gone) > 1 else ""
            sentences.append(f"There is no {what}{many}.")
    kept = tuple(segment for segment in segments.segments if id(segment) not in lost)
    if segments.segments and not kept:
        raise InputError(
            f"Nothing of what the list names is there ({len(by_path)} videos, such as "
            f"{next(iter(by_path))}); data.root must be the folder of the videos, and not that of "
            f"the lists."
        )
    return dataclasses.replace(segments, segments=kept), tuple(sentences)


def _missing(
    path: Path, segments: list[Segment], storage: Storage
) -> list[tuple[str, list[Segment]]]:
    """What is not there of a path, and the segments that it costs."""
    if isinstance(storage, ChunkFolders):
        return _missing_chunks(path, segments, storage)
    if isinstance(storage, FrameFolders):
        return [] if path.is_dir() else [(f"folder {path}", segments)]
    return [] if path.is_file() else [(f"file {path}", segments)]


def _missing_chunks(
    path: Path, segments: list[Segment], storage: ChunkFolders
) -> list[tuple[str, list[Segment]]]:
    """Chunks that are not there, and the segments that touch them.

    A segment's end may lie past the last chunk, as lists are not exact to the frame; but it has to
    begin in a chunk that is there, and have no gap.
    """
    if not path.is_dir():
        return [(f"folder {path}", segments)]
    names = (entry.name.removesuffix(storage.suffix) for entry in path.iterdir())
    there = {int(name) for name in names if name.isascii() and name.isdigit()}
    last = max(there, default=-1)
    gone: dict[int, list[Segment]] = defaultdict(list)
    for segment in segments:
        first = math.floor(segment.start_s / storage.seconds)
        end = math.inf if segment.end_s is None else segment.end_s
        stop = math.ceil(min(end, last + storage.seconds) / storage.seconds)
        for number in range(first, max(stop, first + 1)):
            start = round(number * storage.seconds)
            if start not in there:
                gone[start].append(segment)
    return [(f"file {path / f'{start}{storage.suffix}'}", lost) for start, lost in gone.items()]
