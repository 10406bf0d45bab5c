"""HMDB51: the official files of its three splits, one a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from effvit_edge.core.card import LabelGroup
from effvit_edge.core.errors import InputError
from effvit_edge.data.segments import Segment, SegmentList
from effvit_edge.data.sets.base import SetCard, Source
from effvit_edge.data.sets.reading import Unique, read_lines

HOME = "https://serre.lab.brown.edu/hmdb51.html"
_FLAGS = {"train": "1", "eval": "2"}
"""What follows a video's name; 0 is for videos that the split leaves out."""


@dataclass(frozen=True)
class HmdbOptions:
    """Options of ``data.set: hmdb51``."""

    split: Literal[1, 2, 3] = 1
    """Which of the official splits."""


def parse(source: Source, options: HmdbOptions) -> SegmentList:
    """The videos of a part, class by class in alphabetical order.

    Raises:
        InputError: no file of the split, or one with a line that cannot be used or a video twice.
    """
    ending = f"_test_split{options.split}.txt"
    files = sorted(source.annotations.glob(f"*{ending}"))
    if not files:
        raise InputError(
            f"{source.annotations} has no files CLASS{ending}, one a class; they are had from "
            f"{HOME}, and data.annotations must name their folder."
        )
    labels = tuple(path.name.removesuffix(ending) for path in files)
    segments = []
    for number, (label, path) in enumerate(zip(labels, files, strict=True)):
        unique = Unique(path)
        for line, text in read_lines(path):
            name, _, flag = text.rpartition(" ")
            if not name or flag not in ("0", "1", "2"):
                raise InputError(
                    f"{path}, line {line}: expected 'NAME.avi' and 0, 1 or 2, got '{text}'."
                )
            unique.add(name.strip(), line)
            if flag == _FLAGS[source.part]:
                inside = f"{label}/{name.strip()}"
                segments.append(Segment(inside, source.root / inside, (number,)))
    return SegmentList((LabelGroup("label", labels),), tuple(segments))


CARD = SetCard(
    name="hmdb51",
    summary="HMDB51, human motion from films and YouTube",
    options=HmdbOptions,
    parse=parse,
    lists=("51 files CLASS_test_split1.txt",),
    home=HOME,
)
