"""Folders of frames (rawframes) with a text list: ``path start end label``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from effvit_edge.core.errors import InputError
from effvit_edge.data.segments import FrameFolders, Segment, SegmentList
from effvit_edge.data.sets.base import SetCard, Source
from effvit_edge.data.sets.lists import Row, has_two_lists, read_part
from effvit_edge.data.sets.reading import Unique, whole


@dataclass(frozen=True)
class FramesOptions:
    """Options of ``data.set: frames``."""

    pattern: str = "img_{:05d}.jpg"
    """Name of a frame by its number; ``x_{:05d}.jpg`` for one direction of optical flow."""
    first: int = 1
    """Number of the first frame."""
    fps: float = 30.0
    """Rate at which the frames were taken, which pictures do not tell."""
    columns: Literal["label", "start end label", "frames label"] = "start end label"
    """What stands after the path. Start and end are numbers of frames, both of which belong to the
    segment; ``frames`` is how many there are."""
    multi_label: bool = False
    """Whether one or more labels end the line, any number of which can apply."""
    separator: str = ""
    """What stands between columns; "" is any white space."""
    labels: str = ""
    """File of the classes beside the lists, one a line: ``name``, or ``number name``."""
    train_list: str = "train.txt"
    """Where ``data.annotations`` is a folder: the file of the training segments."""
    eval_list: str = "val.txt"
    """The file of the evaluation segments."""
    directional: bool = False
    """Whether mirroring changes a label."""


def parse(source: Source, options: FramesOptions) -> SegmentList:
    """The lines of the list, in order.

    Raises:
        InputError: no list, an option that cannot be meant, a line that does not fit, an unknown
            class or one out of range, or the same stretch twice.
    """
    _check_options(options)
    path, rows, numbers = read_part(source, options)
    unique = Unique(path)
    segments = []
    for row in rows:
        where = f"{path}, line {row.line}"
        start, end = _span(row, options, where)
        name = " ".join((row.path, *row.span))
        unique.add(name, row.line)
        targets = numbers.of(row.labels, where)
        segments.append(Segment(name, source.root / row.path, targets, start, end))
    return SegmentList(
        (numbers.group(exclusive=not options.multi_label),),
        tuple(segments),
        FrameFolders(options.pattern, options.first, options.fps),
        options.directional,
    )


def _check_options(options: FramesOptions) -> None:
    try:
        two = {options.pattern.format(number) for number in (1, 2)}
    except (ValueError, IndexError, KeyError):
        two = set()
    if len(two) < 2:
        raise InputError(
            f"data.options.pattern '{options.pattern}' does not name a frame by its number; give "
            f"one such as img_{{:05d}}.jpg."
        )
    if options.fps <= 0 or options.first < 0:
        raise InputError("data.options.fps must be positive and data.options.first not negative.")


def _span(row: Row, options: FramesOptions, where: str) -> tuple[float, float | None]:
    """Seconds from the first frame's time to the end of the last's."""
    numbers = [whole(text, where, "frame") for text in row.span]
    if not numbers:
        return 0.0, None
    first, last = (options.first, options.first + numbers[0] - 1) if len(numbers) == 1 else numbers
    if first < options.first:
        raise InputError(
            f"{where}: frame {first} lies before the first, which is {options.first} "
            f"(data.options.first)."
        )
    if last < first:
        raise InputError(f"{where}: the segment ends at frame {last}, but begins at {first}.")
    return (first - options.first) / options.fps, (last - options.first + 1) / options.fps


def _has_split(source: Source, options: FramesOptions) -> bool:
    return has_two_lists(source)


CARD = SetCard(
    name="frames",
    summary="folders of pictures with a text list: path start end label",
    options=FramesOptions,
    parse=parse,
    has_split=_has_split,
    lists=("a file of any name", "or train.txt and val.txt"),
)
