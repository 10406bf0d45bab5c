"""A look at one file of a set: whether it opens, how long, large and fast it is, what is lost."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from effvit_edge.core.errors import InputError
from effvit_edge.data.footage import open_footage
from effvit_edge.data.footage.base import Footage
from effvit_edge.data.prepare.encode import EVERY_FRAME
from effvit_edge.data.prepare.index import find_entry
from effvit_edge.data.prepare.layout import END, REMEDY
from effvit_edge.data.segments import PreparedShards, Segment, Storage

_FIRST_FRAMES = 12
_LAST_S = 1.0
_BEYOND_S = 1.0
"""Lists are not exact: a segment may end this much after its video."""


@dataclass(frozen=True)
class Video:
    """What to look at: everything of the list that lies in one file or folder."""

    path: Path
    segments: tuple[Segment, ...]
    storage: Storage
    full: bool
    """Decode every frame, and not only the first and the last."""


@dataclass(frozen=True)
class Shape:
    """Length, rate and size of what was looked at."""

    seconds: float
    fps: float
    """Of the first frames."""
    height: int
    width: int


@dataclass(frozen=True)
class Finding:
    """What a file or folder is like."""

    path: Path
    problem: str = ""
    """Why it is of no use."""
    losses: str = ""
    """What of its frames cannot be used."""
    beyond: tuple[str, ...] = ()
    """A sentence for each segment that reaches past its end."""
    shapes: tuple[Shape, ...] = ()
    """The video's; of a shard, each of its segments'."""


def look_at(video: Video) -> Finding:
    """Open a video and decode its beginning and its end, or all of it."""
    try:
        if isinstance(video.storage, PreparedShards):
            return _look_at_shard(video, video.storage)
        return _look_at_source(video)
    except InputError as error:
        return Finding(video.path, problem=str(error))
    except OSError as error:
        return Finding(video.path, problem=f"{video.path} cannot be read: {error.strerror}.")


def _look_at_source(video: Video) -> Finding:
    whole = open_footage(Segment(str(video.path), video.path, ()), video.storage)
    fps, height, width = _opening(whole, 0.0)
    from_s = 0.0 if video.full else max(0.0, whole.duration_s() - _LAST_S)
    last_s = 0.0
    for time_s, _ in whole.at_rate(EVERY_FRAME, from_s):
        last_s = time_s
    seconds = last_s + (1 / fps if fps else 0.0)
    return Finding(
        video.path,
        losses=str(whole.losses) if whole.losses else "",
        beyond=tuple(_beyond(video.segments, seconds)),
        shapes=(Shape(seconds, fps, height, width),),
    )


def _opening(footage: Footage, from_s: float) -> tuple[float, int, int]:
    """Rate, height and width by the first frames."""
    begin = list(islice(footage.at_rate(EVERY_FRAME, from_s), _FIRST_FRAMES))
    times = [time_s for time_s, _ in begin]
    span_s = times[-1] - times[0]
    height, width = begin[0][1].shape[:2]
    fps = round((len(times) - 1) / span_s, 2) if span_s else 0.0
    return fps, height, width


def _beyond(segments: Sequence[Segment], seconds: float) -> list[str]:
    """A sentence for each segment that reaches past the end of its video."""
    sentences = []
    for segment in segments:
        if 0 < segment.start_s >= seconds:  # a single frame has no length, and is there
            how = f"begins at {segment.start_s:.1f} s"
        elif segment.end_s is not None and segment.end_s > seconds + _BEYOND_S:
            how = f"ends at {segment.end_s:.1f} s"
        else:
            continue
        sentences.append(
            f"Segment {segment.name} {how}, but {segment.path} is over at {seconds:.1f} s."
        )
    return sentences


def _look_at_shard(video: Video, storage: PreparedShards) -> Finding:
    """Whether the segments of a shard are there, and in full also as they were written."""
    entries = [find_entry(storage.index, segment.name) for segment in video.segments]
    stated = max(entry.offset + entry.bytes for entry in entries) + len(END)
    with video.path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size != stated:
            raise InputError(f"{video.path} has {size} bytes instead of {stated}. {REMEDY}")
        for entry in entries if video.full else ():
            file.seek(entry.offset)
            if hashlib.sha256(file.read(entry.bytes)).hexdigest() != entry.sha256:
                raise InputError(
                    f"{video.path} is damaged: segment {entry.name} does not have its SHA-256. "
                    f"{REMEDY}"
                )
    shapes = [
        Shape(entry.duration_s, *_opening(open_footage(segment, storage), -entry.lead_s))
        for segment, entry in zip(video.segments, entries, strict=True)
    ]
    return Finding(video.path, shapes=tuple(shapes))
