"""Where each label group's answers lie among the logits. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from effvit_edge.core.card import LabelGroup


def group_slices(groups: Sequence[LabelGroup]) -> tuple[slice, ...]:
    """Where each group's logits lie along the last axis, in the order of the groups."""
    ends = list(accumulate(len(group.labels) for group in groups))
    starts = [0, *ends[:-1]]
    return tuple(slice(start, end) for start, end in zip(starts, ends, strict=True))
