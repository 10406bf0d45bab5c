"""A text list of videos: ``path label``, or ``path start end label``."""

from __future__ import annotations

from effvit_edge.data.segments import SegmentList, VideoFiles
from effvit_edge.data.sets.base import SetCard, Source
from effvit_edge.data.sets.lists import (
    Row,
    Stretch,
    TextListOptions,
    has_two_lists,
    parse_text_list,
)
from effvit_edge.data.sets.reading import check_stretch, seconds


def parse(source: Source, options: TextListOptions) -> SegmentList:
    """The lines of the list, in order.

    Raises:
        InputError: see :func:`parse_text_list`; or a time that is none.
    """
    return parse_text_list(source, options, _stretch, VideoFiles())


def _stretch(row: Row, where: str) -> Stretch:
    if len(row.span) < 2:  # nothing, or a count of frames
        return Stretch(row.path, 0.0, None)
    start, end = (seconds(text, where) for text in row.span)
    check_stretch(start, end, where)
    return Stretch(f"{row.path} from {start:g} s", start, end)


CARD = SetCard(
    name="list",
    summary="a text list of videos: path label, or path start end label",
    options=TextListOptions,
    parse=parse,
    has_split=has_two_lists,
    lists=("a file of any name", "or train.txt and val.txt"),
)
