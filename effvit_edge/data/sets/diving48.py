"""Diving48: competitive dives, with the corrected lists (V2)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from effvit_edge.core.card import LabelGroup
from effvit_edge.core.errors import InputError
from effvit_edge.data.segments import Segment, SegmentList
from effvit_edge.data.sets.base import SetCard, Source
from effvit_edge.data.sets.reading import Classes, Unique, find_file, json_records, read_json

HOME = "http://www.svcl.ucsd.edu/projects/resound/dataset.html"
_LISTS = {"train": "Diving48_V2_train.json", "eval": "Diving48_V2_test.json"}
_LABELS = "Diving48_vocab.json"


@dataclass(frozen=True)
class DivingOptions:
    """Options of ``data.set: diving48``."""

    suffix: str = ".mp4"
    """Of the videos, which are named by their id."""


def parse(source: Source, options: DivingOptions) -> SegmentList:
    """The dives of a part, in the order of its list. A file is one dive from start to end.

    Mirroring is no other class: rules and classes tell dives by take-off, somersaults, twists and
    position, never by the side that they turn to.

    Raises:
        InputError: a list is missing, or has an object that cannot be used or a dive twice.
    """
    path = find_file(source.annotations, [_LISTS[source.part]], home=HOME)
    classes = _classes(find_file(source.annotations, [_LABELS], home=HOME))
    unique = Unique(path, "object")
    segments = []
    for number, (name, label) in enumerate(json_records(path, {"vid_name": str, "label": int}), 1):
        unique.add(name, number)
        target = classes.check(label, f"{path}, object {number}")
        segments.append(Segment(name, source.root / f"{name}{options.suffix}", (target,)))
    return SegmentList((LabelGroup("label", classes.labels),), tuple(segments))


def _classes(path: Path) -> Classes:
    """Take-off, somersaults, twists and position, joined by ``+``."""
    entries = read_json(path, home=HOME)
    if not isinstance(entries, list) or not all(
        isinstance(parts, list) and all(isinstance(part, str) for part in parts)
        for parts in entries
    ):
        raise InputError(f"{path} does not hold a list of a dive's four parts for each class.")
    return Classes(["+".join(parts) for parts in entries], str(path))


CARD = SetCard(
    name="diving48",
    summary="Diving48, competitive dives (V2 lists)",
    options=DivingOptions,
    parse=parse,
    lists=(*_LISTS.values(), _LABELS),
    home=HOME,
)
