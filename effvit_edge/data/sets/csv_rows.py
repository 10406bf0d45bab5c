"""A CSV file with the columns ``path`` and ``label``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from effvit_edge.core.card import LabelGroup
from effvit_edge.core.errors import InputError
from effvit_edge.data.segments import Segment, SegmentList
from effvit_edge.data.sets.base import SetCard, Source
from effvit_edge.data.sets.lists import all_files, has_two_lists, part_file
from effvit_edge.data.sets.reading import Classes, Table, Unique, check_stretch, read_csv, seconds


@dataclass(frozen=True)
class CsvOptions:
    """Options of ``data.set: csv``."""

    separator: str = ""
    """What stands between the labels of a cell; given, any number of labels can apply."""
    train_list: str = "train.csv"
    """Where ``data.annotations`` is a folder: the file of the training rows."""
    eval_list: str = "val.csv"
    """The file of the evaluation rows."""
    directional: bool = False
    """Whether mirroring changes a label."""


def parse(source: Source, options: CsvOptions) -> SegmentList:
    """The rows that pass the filters. The classes are those of all rows, in alphabetical order.

    The columns ``start`` and ``end``, where there are any, are seconds or ``HH:MM:SS.ss``; an empty
    cell is the video's own start or end.

    Raises:
        InputError: no list, a missing column, an empty or impossible cell, the same stretch twice,
            or no row that passes.
    """
    path = part_file(source, options.train_list, options.eval_list)
    tables = {file: read_csv(file) for file in all_files(source, *_names(options))}
    labels = {
        label
        for table in tables.values()
        for line, (cell,) in table.pick("label")
        for label in _labels(cell, options, f"{table.path}, line {line}")
    }
    classes = Classes(sorted(labels), str(path))
    segments = _segments(tables[path], source, options, classes)
    if not segments:
        raise InputError(f"{path}: no row passes the filters {', '.join(source.filters)}.")
    group = LabelGroup("label", classes.labels, exclusive=not options.separator)
    return SegmentList((group,), segments, directional=options.directional)


def passes(row: Sequence[str], columns: Sequence[str], filters: Sequence[str], path: Path) -> bool:
    """Whether a row passes every filter, ``column=value`` or ``column!=value``.

    Raises:
        InputError: a filter that is neither, or names a column the file does not have.
    """
    for text in filters:
        column, separator, value = text.partition("=")
        negated = column.endswith("!")
        column = column.rstrip("!").strip()
        if not separator or not column:
            raise InputError(f"Filter '{text}' is neither column=value nor column!=value.")
        if column not in columns:
            raise InputError(
                f"Filter '{text}': {path} has no column '{column}', only {', '.join(columns)}."
            )
        if (row[columns.index(column)].strip() == value.strip()) == negated:
            return False
    return True


def _names(options: CsvOptions) -> tuple[str, str]:
    return options.train_list, options.eval_list


def _labels(cell: str, options: CsvOptions, where: str) -> tuple[str, ...]:
    if not options.separator:
        if not cell.strip():
            raise InputError(f"{where}: path or label is empty.")
        return (cell.strip(),)
    return tuple(label.strip() for label in cell.split(options.separator) if label.strip())


def _segments(
    table: Table, source: Source, options: CsvOptions, classes: Classes
) -> tuple[Segment, ...]:
    paths, labels = table.index("path"), table.index("label")
    unique = Unique(table.path)
    result = []
    for line, row in table.rows:
        where = f"{table.path}, line {line}"
        if not row[paths].strip():
            raise InputError(f"{where}: path or label is empty.")
        if not passes(row, table.columns, source.filters, table.path):
            continue
        targets = tuple(classes.number(x, where) for x in _labels(row[labels], options, where))
        start, end = _span(table, row, where)
        name = row[paths] if end is None and not start else f"{row[paths]} from {start:g} s"
        unique.add(name, line)
        result.append(Segment(name, source.root / row[paths], targets, start, end))
    return tuple(result)


def _span(table: Table, row: Sequence[str], where: str) -> tuple[float, float | None]:
    start, end = (
        row[table.index(name)].strip() if name in table.columns else "" for name in ("start", "end")
    )
    start_s = seconds(start, where) if start else 0.0
    if not end:
        return start_s, None
    check_stretch(start_s, seconds(end, where), where)
    return start_s, seconds(end, where)


CARD = SetCard(
    name="csv",
    summary="a CSV with the columns path and label; start and end where given",
    options=CsvOptions,
    parse=parse,
    has_split=has_two_lists,
    filters=True,
    lists=("a file of any name", "or train.csv and val.csv"),
)
