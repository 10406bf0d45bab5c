"""A text list of videos: ``path label``, or ``path start end label``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from effvit_edge.data.segments import Segment, SegmentList
from effvit_edge.data.sets.base import SetCard, Source
from effvit_edge.data.sets.lists import Row, has_two_lists, read_part
from effvit_edge.data.sets.reading import Unique, check_stretch, seconds


@dataclass(frozen=True)
class ListOptions:
    """Options of ``data.set: list``."""

    columns: Literal["label", "start end label", "frames label"] = "label"
    """What stands after the path. Start and end are seconds or ``HH:MM:SS.ss``; a count of frames
    is skipped, as the file tells it itself."""
    multi_label: bool = False
    """Whether one or more labels end the line, any number of which can apply."""
    separator: str = ""
    """What stands between columns; "" is any white space."""
    labels: str = ""
    """File of the classes beside the lists, one a line: ``name``, or ``number name``. Without it
    numbers are their own names, and names are put in alphabetical order."""
    train_list: str = "train.txt"
    """Where ``data.annotations`` is a folder: the file of the training videos."""
    eval_list: str = "val.txt"
    """The file of the evaluation videos."""
    directional: bool = False
    """Whether mirroring changes a label."""


def parse(source: Source, options: ListOptions) -> SegmentList:
    """The lines of the list, in order.

    Raises:
        InputError: no list, a line that does not fit, an unknown class or one out of range, or the
            same stretch twice.
    """
    path, rows, numbers = read_part(source, options)
    unique = Unique(path)
    segments = []
    for row in rows:
        where = f"{path}, line {row.line}"
        start, end = _span(row, where)
        name = row.path if end is None else f"{row.path} from {start:g} s"
        unique.add(name, row.line)
        targets = numbers.of(row.labels, where)
        segments.append(Segment(name, source.root / Path(row.path), targets, start, end))
    group = numbers.group(exclusive=not options.multi_label)
    return SegmentList((group,), tuple(segments), directional=options.directional)


def _span(row: Row, where: str) -> tuple[float, float | None]:
    if len(row.span) < 2:
        return 0.0, None
    start, end = (seconds(text, where) for text in row.span)
    check_stretch(start, end, where)
    return start, end


def _has_split(source: Source, options: ListOptions) -> bool:
    return has_two_lists(source)


CARD = SetCard(
    name="list",
    summary="a text list of videos: path label, or path start end label",
    options=ListOptions,
    parse=parse,
    has_split=_has_split,
    lists=("a file of any name", "or train.txt and val.txt"),
)
