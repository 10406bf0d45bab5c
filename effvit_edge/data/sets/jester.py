"""Jester: hand gestures, published as folders of frames."""

from __future__ import annotations

from dataclasses import dataclass

from effvit_edge.core.card import LabelGroup
from effvit_edge.data.segments import FrameFolders, Segment, SegmentList
from effvit_edge.data.sets.base import SetCard, Source
from effvit_edge.data.sets.reading import Classes, Unique, find_file, read_csv, read_lines

HOME = "https://www.qualcomm.com/developer/software/jester-dataset"
_LISTS = {"train": "jester-v1-train.csv", "eval": "jester-v1-validation.csv"}
_LABELS = "jester-v1-labels.csv"


@dataclass(frozen=True)
class JesterOptions:
    """Options of ``data.set: jester``."""

    pattern: str = "{:05d}.jpg"
    """Name of a frame by its number."""
    fps: float = 12.0
    """Rate at which the frames were taken out of the videos."""


def parse(source: Source, options: JesterOptions) -> SegmentList:
    """The gestures of a part, in the order of its list.

    Raises:
        InputError: a list is missing, or has a line that cannot be used or an id twice.
    """
    path = find_file(source.annotations, [_LISTS[source.part]], home=HOME)
    labels = find_file(source.annotations, [_LABELS], home=HOME)
    classes = Classes([label for _, label in read_lines(labels, home=HOME)], str(labels))
    unique = Unique(path)
    segments = []
    table = read_csv(path, columns=("id", "label"), delimiter=";", home=HOME)
    for line, (name, label) in table.pick("id", "label"):
        unique.add(name, line)
        target = classes.number(label, f"{path}, line {line}")
        segments.append(Segment(name, source.root / name, (target,)))
    return SegmentList(
        (LabelGroup("label", classes.labels),),
        tuple(segments),
        FrameFolders(options.pattern, 1, options.fps),
        CARD.directional,
    )


CARD = SetCard(
    name="jester",
    summary="Jester, hand gestures in front of a laptop",
    options=JesterOptions,
    parse=parse,
    directional=True,
    lists=(*_LISTS.values(), _LABELS),
    home=HOME,
)
