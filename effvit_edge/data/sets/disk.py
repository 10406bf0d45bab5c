"""Which of a list's footage lies on this disk."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from pathlib import Path

from effvit_edge.core.errors import InputError
from effvit_edge.data.failures import Failures
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

    Only names are looked at; whether a file can be decoded shows when it is. Of a segment of
    pictures the first and the last are looked for, as gaps between them are told when it is read.

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
            sentences.append(f"There is no {what}{_needed_by(gone)}.")
    kept = tuple(segment for segment in segments.segments if id(segment) not in lost)
    if segments.segments and not kept:
        pictures = isinstance(segments.storage, FrameFolders)
        raise InputError(
            f"Nothing of what the list names is there ({len(by_path)} videos). First: "
            f"{sentences[0]} data.root must be the folder of the videos, and not that of the lists"
            f"{', and data.options.pattern the name of their pictures' if pictures else ''}."
        )
    return dataclasses.replace(segments, segments=kept), tuple(sentences)


def keep_present(listed: SegmentList, max_failed_share: float) -> tuple[SegmentList, Failures]:
    """What lies on disk, and where it is counted what does not, and later what cannot be read.

    Args:
        listed: all segments.
        max_failed_share: share of them that may be missing or unreadable.

    Raises:
        InputError: nothing is there, or too much is missing.
    """
    there, sentences = drop_missing(listed)
    total = len(listed.segments)
    absent = total - len(there.segments)
    return there, Failures(total, max_failed_share, sentences, absent)


def _missing(
    path: Path, segments: list[Segment], storage: Storage
) -> list[tuple[str, list[Segment]]]:
    """What is not there of a path, and the segments that it costs."""
    if isinstance(storage, ChunkFolders):
        return _missing_chunks(path, segments, storage)
    if isinstance(storage, FrameFolders):
        return _missing_pictures(path, segments, storage)
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


def _missing_pictures(
    path: Path, segments: list[Segment], storage: FrameFolders
) -> list[tuple[str, list[Segment]]]:
    """First and last pictures that are not there, and the segments that name them."""
    if not path.is_dir():
        return [(f"folder {path}", segments)]
    gone: dict[Path, list[Segment]] = defaultdict(list)
    for segment in segments:
        for number in _ends(segment, storage):
            picture = path / storage.pattern.format(number)
            if not picture.is_file():
                gone[picture].append(segment)
                break
    return [(f"file {picture}", lost) for picture, lost in gone.items()]


def _ends(segment: Segment, storage: FrameFolders) -> tuple[int, ...]:
    """The numbers of a segment's first and last pictures, as its list names them."""
    if segment.end_s is None:
        return ()
    first = storage.first + round(segment.start_s * storage.fps)
    return first, storage.first + round(segment.end_s * storage.fps) - 1


def _needed_by(segments: list[Segment]) -> str:
    """Which segments miss a file, where its name does not tell."""
    if len(segments) > 1:
        return f", which {len(segments)} segments need"
    segment = segments[0]
    return "" if segment.end_s is None else f", which segment '{segment.name}' needs"
