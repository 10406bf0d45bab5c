"""Folders of frames (rawframes) with a text list: ``path start end label``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from effvit_edge.core.errors import InputError
from effvit_edge.data.segments import FrameFolders, SegmentList
from effvit_edge.data.sets.base import SetCard, Source
from effvit_edge.data.sets.lists import (
    Columns,
    Row,
    Stretch,
    TextListOptions,
    has_two_lists,
    parse_text_list,
)
from effvit_edge.data.sets.reading import whole


@dataclass(frozen=True)
class FramesOptions(TextListOptions):
    """Options of ``data.set: frames``."""

    columns: Columns = "start end label"
    """What stands after the path. Start and end are numbers of frames, both of which belong to the
    segment; ``frames`` is how many there are."""
    pattern: str = "img_{:05d}.jpg"
    """Name of a frame by its number; ``x_{:05d}.jpg`` for one direction of optical flow."""
    first: int = 1
    """Number of the first frame."""
    fps: float = 30.0
    """Rate at which the frames were taken, which pictures do not tell."""


def parse(source: Source, options: FramesOptions) -> SegmentList:
    """The lines of the list, in order.

    Raises:
        InputError: see :func:`parse_text_list`; or an option that cannot be meant.
    """
    _check_options(options)
    storage = FrameFolders(options.pattern, options.first, options.fps)
    return parse_text_list(source, options, partial(_stretch, options), storage)


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


def _stretch(options: FramesOptions, row: Row, where: str) -> Stretch:
    """From the first frame's time to the end of the last's."""
    name = " ".join((row.path, *row.span))
    numbers = [whole(text, where, "frame") for text in row.span]
    if not numbers:
        return Stretch(name, 0.0, None)
    first, last = (options.first, options.first + numbers[0] - 1) if len(numbers) == 1 else numbers
    if first < options.first:
        raise InputError(
            f"{where}: frame {first} lies before the first, which is {options.first} "
            f"(data.options.first)."
        )
    if last < first:
        raise InputError(f"{where}: the segment ends at frame {last}, but begins at {first}.")
    start, end = first - options.first, last - options.first + 1
    return Stretch(name, start / options.fps, end / options.fps)


CARD = SetCard(
    name="frames",
    summary="folders of pictures with a text list: path start end label",
    options=FramesOptions,
    parse=parse,
    has_split=has_two_lists,
    lists=("a file of any name", "or train.txt and val.txt"),
)
