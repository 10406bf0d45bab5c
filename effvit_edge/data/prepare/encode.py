"""One segment from its source to the bytes that are kept of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from effvit_edge.core.errors import InputError
from effvit_edge.core.optional import require
from effvit_edge.data.clips import shrink_short_side
from effvit_edge.data.footage import open_footage
from effvit_edge.data.footage.base import Footage
from effvit_edge.data.prepare.layout import (
    TABLE,
    Entry,
    Form,
    Member,
    SourceFile,
    table_bytes,
    tar_bytes,
)
from effvit_edge.data.segments import Segment, Storage
from effvit_edge.data.types import Frames

EVERY_FRAME = 1e6
"""Frames a second that no source has, so that every frame is taken."""
_BEFORE_S = 0.5
"""The frame nearest to a time may lie before it; it is looked for over so many seconds."""


@dataclass(frozen=True)
class Job:
    """One segment to prepare."""

    number: int
    segment: Segment
    storage: Storage
    form: Form


@dataclass(frozen=True)
class Prepared:
    """What became of a job. Places in ``entry`` count from the segment's own beginning."""

    entry: Entry
    content: bytes
    """Empty where it failed."""


def prepare_segment(job: Job) -> Prepared:
    """Decode, scale down and compress one segment; what cannot be decoded becomes a failure."""
    segment = job.segment
    bare = Entry(
        job.number,
        segment.name,
        segment.targets,
        segment.start_s,
        segment.end_s,
        source_file(segment),
    )
    footage = open_footage(segment, job.storage)
    # Times are kept as the whole source has them, so that choosing frames by time goes exactly as
    # it does on the source.
    whole = open_footage(dataclasses.replace(segment, start_s=0.0), job.storage)
    try:
        duration_s = footage.duration_s()
        lead_s = min(job.form.lead_s, footage.lead_s())
        table, pictures = _compress(whole, job.form, segment.start_s - lead_s)
        if table["time_s"][-1] < segment.start_s:
            next(footage.at_rate(EVERY_FRAME))  # says so where the source ends long before
    except InputError as error:
        return Prepared(dataclasses.replace(bare, failure=str(error)), b"")
    return _pack(
        dataclasses.replace(
            bare,
            frames=len(table),
            duration_s=duration_s,
            lead_s=lead_s,
            losses=str(whole.losses) if whole.losses else "",
        ),
        table,
        pictures,
    )


def source_file(segment: Segment) -> SourceFile | None:
    """The size and time of what a segment is made from; None where it is not there."""
    try:
        found = segment.path.stat()
    except OSError:
        return None
    return SourceFile(str(segment.path), found.st_size, found.st_mtime_ns)


def _compress(whole: Footage, form: Form, begin_s: float) -> tuple[npt.NDArray[np.void], bytes]:
    """The table and the pictures of all frames from ``begin_s`` of the source on."""
    cv2 = require("cv2", "video")
    parameters = [cv2.IMWRITE_JPEG_QUALITY, form.jpeg_quality]
    times, pictures = [], []
    for time_s, frame in _kept(whole, form.max_fps or EVERY_FRAME, begin_s):
        small = shrink_short_side(frame, short_side=form.short_side)
        bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
        times.append(time_s)
        pictures.append(cv2.imencode(".jpg", bgr, parameters)[1].tobytes())
    table = np.empty(len(times), TABLE)
    table["time_s"] = times
    table["end"] = np.cumsum([len(picture) for picture in pictures])
    table["crc32"] = [zlib.crc32(picture) for picture in pictures]
    return table, b"".join(pictures)


def _kept(whole: Footage, fps: float, begin_s: float) -> Iterator[tuple[float, Frames]]:
    """The frames from a time on, after the one before it, which may be the nearest to it."""
    before: tuple[float, Frames] | None = None
    for time_s, frame in whole.at_rate(fps, from_s=max(0.0, begin_s - _BEFORE_S)):
        if time_s < begin_s:
            before = (time_s, frame)
            continue
        if before is not None:
            yield before
            before = None
        yield time_s, frame
    if before is not None:
        yield before


def _pack(entry: Entry, table: npt.NDArray[np.void], pictures: bytes) -> Prepared:
    facts = {
        "name": entry.name,
        "targets": entry.targets,
        "start_s": entry.start_s,
        "end_s": entry.end_s,
    }
    key = f"{entry.number:09d}"
    rows = table_bytes(table)
    content, (_, table_start, pictures_start) = tar_bytes(
        (
            Member(f"{key}.json", json.dumps(facts).encode()),
            Member(f"{key}.npy", rows),
            Member(f"{key}.mjpeg", pictures),
        )
    )
    placed = dataclasses.replace(
        entry,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        table=(table_start, len(rows)),
        pictures=(pictures_start, len(pictures)),
    )
    return Prepared(placed, content)
