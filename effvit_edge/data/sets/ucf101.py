"""UCF101: the official lists of its three splits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from effvit_edge.core.card import LabelGroup
from effvit_edge.core.errors import InputError
from effvit_edge.data.segments import Segment, SegmentList
from effvit_edge.data.sets.base import SetCard, Source
from effvit_edge.data.sets.reading import Classes, Unique, find_file, read_lines, whole

HOME = "https://www.crcv.ucf.edu/data/UCF101.php"


@dataclass(frozen=True)
class UcfOptions:
    """Options of ``data.set: ucf101``."""

    split: Literal[1, 2, 3] = 1
    """Which of the official splits."""


def parse(source: Source, options: UcfOptions) -> SegmentList:
    """The videos of a part, in the order of its list; the class is the folder they lie in.

    Raises:
        InputError: a list is missing, or has a line that cannot be used or a video twice.
    """
    kind = "train" if source.part == "train" else "test"
    path = find_file(source.annotations, [f"{kind}list{options.split:02d}.txt"], home=HOME)
    classes = _classes(find_file(source.annotations, ["classInd.txt"], home=HOME))
    unique = Unique(path)
    segments = []
    for line, text in read_lines(path):
        where = f"{path}, line {line}"
        name, *number = text.split()
        target = classes.number(name.partition("/")[0], where)
        # Training lists repeat the class as a number, counted from 1.
        if number and whole(number[0], where, "class") != target + 1:
            raise InputError(f"{where}: {name} has class {number[0]}, its folder {target + 1}.")
        unique.add(name, line)
        segments.append(Segment(name, source.root / name, (target,)))
    return SegmentList((LabelGroup("label", classes.labels),), tuple(segments))


def _classes(path: Path) -> Classes:
    names: list[str] = []
    for line, text in read_lines(path):
        number, _, name = text.partition(" ")
        if whole(number, f"{path}, line {line}", "class") != len(names) + 1 or not name:
            raise InputError(
                f"{path}, line {line}: expected '{len(names) + 1} NAME', got '{text}'."
            )
        names.append(name)
    return Classes(names, str(path))


CARD = SetCard(
    name="ucf101",
    summary="UCF101, sports and everyday actions from YouTube",
    options=UcfOptions,
    parse=parse,
    lists=("classInd.txt", "trainlist01.txt", "testlist01.txt"),
    home=HOME,
)
