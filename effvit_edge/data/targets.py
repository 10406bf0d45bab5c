"""From a segment's labels to the rows of its targets."""

from __future__ import annotations

import numpy as np

from effvit_edge.data.sampling import Times
from effvit_edge.data.segments import Segment, SegmentList
from effvit_edge.data.types import IGNORE, Targets

_BEFORE_S = -1e-3
"""A frame this much before the segment belongs to its lead-in."""


def target_row(segments: SegmentList, segment: Segment) -> Targets:
    """``(G,)`` class numbers, or ``(C,)`` zeros and ones where any number of labels can apply."""
    if not segments.multi_label:
        return np.array(segment.targets, dtype=np.int64)
    row = np.zeros(len(segments.groups[0].labels), dtype=np.int64)
    row[list(segment.targets)] = 1
    return row


def count_lead(times_s: Times) -> int:
    """How many frames, whose times are given, belong to a segment's lead-in."""
    return int((times_s < _BEFORE_S).sum())


def frame_targets(segments: SegmentList, segment: Segment, times_s: Times) -> Targets:
    """``(T, …)``: the segment's labels, and none for frames before it."""
    rows = np.repeat(target_row(segments, segment)[None], len(times_s), axis=0)
    rows[times_s < _BEFORE_S] = IGNORE
    return rows
