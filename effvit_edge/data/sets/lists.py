"""What lists of one's own have in common: the ``csv``, ``list`` and ``frames`` sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from effvit_edge.core.card import LabelGroup
from effvit_edge.core.errors import InputError
from effvit_edge.data.segments import Segment, SegmentList, Storage
from effvit_edge.data.sets.base import Source
from effvit_edge.data.sets.reading import Classes, Unique, read_lines, whole

Columns = Literal["label", "start end label", "frames label"]

_MOST_CLASSES = 100_000
"""Beyond it a number is no class: nobody has so many, and each needs a name in memory."""


@dataclass(frozen=True)
class TextListOptions:
    """Options of every text list; those of ``data.set: list``."""

    columns: Columns = "label"
    """What stands after the path. Start and end are seconds or ``HH:MM:SS.ss`` of videos, and
    numbers of frames in folders of them; a count of frames is skipped for videos, whose files tell
    it themselves."""
    multi_label: bool = False
    """Whether one or more labels end the line, any number of which can apply."""
    separator: str = ""
    """What stands between columns; "" is any white space."""
    labels: str = ""
    """File of the classes beside the lists, one a line: ``name``, or ``number name``. Without it
    numbers are their own names, and names are put in alphabetical order."""
    train_list: str = "train.txt"
    """Where ``data.annotations`` is a folder: the file of the training segments."""
    eval_list: str = "val.txt"
    """The file of the evaluation segments."""
    directional: bool = False
    """Whether mirroring changes a label."""


@dataclass(frozen=True)
class Row:
    """One line of a text list."""

    line: int
    path: str
    span: tuple[str, ...]
    """What stands between path and labels: nothing, start and end, or a count of frames."""
    labels: tuple[str, ...]


def part_file(source: Source, train: str, held: str) -> Path:
    """The list of the part that is asked for: the annotations, or one of two files in them."""
    files = all_files(source, train, held)
    return files[0] if source.part == "train" else files[-1]


def all_files(source: Source, train: str, held: str) -> tuple[Path, ...]:
    """The lists of both parts, which have their classes in common.

    Raises:
        InputError: the annotations are neither a file nor a folder with both lists.
    """
    if source.annotations.is_file():
        return (source.annotations,)
    files = (source.annotations / train, source.annotations / held)
    for path in files:
        if not path.is_file():
            raise InputError(
                f"There is no file {path}; data.annotations must name a list, or a folder that "
                f"holds {train} and {held}."
            )
    return files


def has_two_lists(source: Source, options: object) -> bool:
    """Whether training and evaluation have a list each."""
    return source.annotations.is_dir()


def read_rows(path: Path, columns: Columns, separator: str, multi_label: bool) -> list[Row]:
    """The lines of a text list.

    Args:
        path: the file; lines that begin with ``#`` are skipped.
        columns: what stands after the path.
        separator: between columns; "" is any white space.
        multi_label: whether one or more labels end the line. If not, a path may hold separators.

    Raises:
        InputError: the file cannot be read, or a line has too few columns.
    """
    between = columns.count(" ")
    result = []
    for line, text in read_lines(path):
        if text.startswith("#"):
            continue
        limit = -1 if multi_label else between + 1
        cells = [cell.strip() for cell in text.rsplit(separator or None, limit)]
        if len(cells) < between + 2 or not all(cells):
            raise InputError(
                f"{path}, line {line}: expected 'path {columns}', got '{text[:80]}'. "
                f"data.options.columns says what stands after the path."
            )
        span = tuple(cells[1 : between + 1])
        result.append(Row(line, cells[0], span, tuple(cells[between + 1 :])))
    if not result:
        raise InputError(f"{path} has no rows.")
    return result


def number_classes(
    labels: Iterable[str], lists: Sequence[Path], names_file: Path | None
) -> ClassNumbers:
    """How labels of text lists become class numbers.

    Args:
        labels: all labels of all lists.
        lists: the lists, for messages.
        names_file: the classes, one a line, either ``name`` or ``number name``.

    Raises:
        InputError: the file cannot be used, or a number is out of range.
    """
    if names_file is not None:
        return _named(names_file)
    found = set(labels)
    origin = " and ".join(str(path) for path in lists)
    if not all(label.isascii() and label.isdigit() for label in found):
        return ClassNumbers(Classes(sorted(found), origin), None)
    most = max(int(label) for label in found)
    if most >= _MOST_CLASSES:
        raise InputError(f"{origin}: class {most} is out of range; classes are numbered from 0.")
    return ClassNumbers(Classes([str(i) for i in range(most + 1)], origin), 0)


@dataclass(frozen=True)
class ClassNumbers:
    """Class numbers by name or by the number that a list gives."""

    classes: Classes
    first: int | None
    """The list's number of the first class; None where labels are names."""

    def of(self, labels: Iterable[str], where: str) -> tuple[int, ...]:
        """The class numbers of a row.

        Raises:
            InputError: no such class, or a number out of range.
        """
        return tuple(self._of(label, where) for label in labels)

    def group(self, exclusive: bool) -> LabelGroup:
        """The label group of these classes."""
        return LabelGroup("label", self.classes.labels, exclusive)

    def _of(self, label: str, where: str) -> int:
        if self.first is None or not (label.isascii() and label.isdigit()):
            return self.classes.number(label, where)
        return self.classes.check(int(label) - self.first, where)


def _named(path: Path) -> ClassNumbers:
    """Classes from a file: names in order, or numbers from 0 or 1 with names."""
    lines = read_lines(path)
    pairs = [text.split(None, 1) for _, text in lines]
    if not all(len(pair) == 2 and pair[0].isdigit() for pair in pairs):
        return ClassNumbers(Classes([text for _, text in lines], str(path)), 0)
    first = int(pairs[0][0])
    for (line, _), (number, _), expected in zip(lines, pairs, range(first, 10**9), strict=False):
        if whole(number, f"{path}, line {line}", "class") != expected or first > 1:
            raise InputError(
                f"{path}, line {line}: classes must be numbered one after another from 0 or 1, "
                f"got {number}."
            )
    return ClassNumbers(Classes([name for _, name in pairs], str(path)), first)


@dataclass(frozen=True)
class Stretch:
    """What a row of a text list names."""

    name: str
    start_s: float
    end_s: float | None


def parse_text_list(
    source: Source,
    options: TextListOptions,
    stretch: Callable[[Row, str], Stretch],
    storage: Storage,
) -> SegmentList:
    """The lines of a part's list, in order.

    Args:
        source: where the lists are.
        options: of the set.
        stretch: what a row names, given where the row is for the error.
        storage: of the footage.

    Raises:
        InputError: no list, a line that does not fit, an unknown class or one out of range, or the
            same stretch twice.
    """
    path, rows, numbers = _read_part(source, options)
    unique = Unique(path)
    segments = []
    for row in rows:
        where = f"{path}, line {row.line}"
        named = stretch(row, where)
        unique.add(named.name, row.line)
        targets = numbers.of(row.labels, where)
        footage = source.root / row.path
        segments.append(Segment(named.name, footage, targets, named.start_s, named.end_s))
    group = numbers.group(exclusive=not options.multi_label)
    return SegmentList((group,), tuple(segments), storage, options.directional)


def _read_part(source: Source, options: TextListOptions) -> tuple[Path, list[Row], ClassNumbers]:
    """The list of a part, its rows, and the classes of all lists of the set."""
    path = part_file(source, options.train_list, options.eval_list)
    files = {
        file: read_rows(file, options.columns, options.separator, options.multi_label)
        for file in all_files(source, options.train_list, options.eval_list)
    }
    labels = (label for rows in files.values() for row in rows for label in row.labels)
    names = path.parent / options.labels if options.labels else None
    return path, files[path], number_classes(labels, tuple(files), names)
