"""Reading lists: CSV, JSON and plain lines, with errors that name the file and the line."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from effvit_edge.core.errors import InputError
from effvit_edge.core.schema import unknown_name


@dataclass(frozen=True)
class Table:
    """The rows of a CSV file, each with its line number."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, list[str]], ...]

    def index(self, name: str) -> int:
        """The number of a column.

        Raises:
            InputError: the file has no such column.
        """
        if name not in self.columns:
            have = ", ".join(self.columns) or "none"
            raise InputError(f"{self.path} has no column '{name}'; its columns are {have}.")
        return self.columns.index(name)

    def pick(self, *names: str) -> Iterator[tuple[int, list[str]]]:
        """The cells of some columns, row by row, each with its line number."""
        indices = [self.index(name) for name in names]
        for line, row in self.rows:
            yield line, [row[i] for i in indices]


def read_text(path: Path, *, home: str = "") -> str:
    """The text of a list.

    Args:
        path: the file.
        home: where the file is had, for the message when it is missing.

    Raises:
        InputError: no such file, unreadable, not UTF-8, or empty.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}{_had_from(home)}.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8."
        ) from error
    if not text.strip():
        raise InputError(f"{path} is empty{_had_from(home)}.")
    return text


def read_lines(path: Path, *, home: str = "") -> list[tuple[int, str]]:
    """The lines of a list that are not blank, stripped, each with its number.

    Raises:
        InputError: see :func:`read_text`.
    """
    lines = enumerate(read_text(path, home=home).splitlines(), 1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def read_csv(
    path: Path, *, columns: Sequence[str] = (), delimiter: str = ",", home: str = ""
) -> Table:
    """A CSV file.

    Args:
        path: the file.
        columns: names of the columns where the file has no header.
        delimiter: what stands between cells.
        home: where the file is had.

    Raises:
        InputError: see :func:`read_text`; not a CSV file, no rows, or a row with too few or too
            many cells, by its line.
    """
    # csv wants its own line endings, which splitlines would lose inside quotes.
    lines = read_text(path, home=home).splitlines(keepends=True)
    reader = csv.reader(lines, strict=True, delimiter=delimiter)
    try:
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not CSV: {error}.") from error
    names = tuple(columns) or tuple(name.strip() for name in rows.pop(0)[1])
    for line, row in rows:
        if len(row) != len(names):
            raise InputError(f"{path}, line {line}: expected {len(names)} cells, got {len(row)}.")
    if not rows:
        raise InputError(f"{path} has no rows.")
    return Table(path, names, tuple(rows))


def read_json(path: Path, *, home: str = "") -> Any:
    """What a JSON file holds.

    Raises:
        InputError: see :func:`read_text`; or it is not JSON.
    """
    try:
        return json.loads(read_text(path, home=home))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: not JSON: {error.msg}.") from error


def json_records(
    path: Path, fields: Mapping[str, type], *, home: str = ""
) -> list[tuple[Any, ...]]:
    """The values of some fields of every object in a JSON list of objects.

    Raises:
        InputError: see :func:`read_json`; not such a list, or an object without such a field, by
            its number.
    """
    records = read_json(path, home=home)
    if not isinstance(records, list) or not records:
        raise InputError(f"{path} does not hold a list of objects.")
    result = []
    for number, record in enumerate(records, 1):
        for name, kind in fields.items():
            value = record.get(name) if isinstance(record, dict) else None
            if not isinstance(value, kind) or isinstance(value, bool):
                kinds = {int: "a whole number", str: "text"}
                raise InputError(f"{path}, object {number}: '{name}' is not {kinds[kind]}.")
        result.append(tuple(record[name] for name in fields))
    return result


def find_file(folder: Path, names: Sequence[str], *, home: str = "") -> Path:
    """The first of some files that is there.

    Raises:
        InputError: none is; all names are given, and where they are had.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    others = f" (nor {', '.join(names[1:])})" if len(names) > 1 else ""
    raise InputError(
        f"There is no file {folder / names[0]}{others}{_had_from(home)}; "
        f"data.annotations must name the folder of the lists."
    )


def seconds(text: str, where: str) -> float:
    """A time, either in seconds or as ``HH:MM:SS.ss``.

    Raises:
        InputError: it is neither, or negative.
    """
    parts = text.strip().split(":")
    try:
        values = [float(part) for part in parts]
    except ValueError:
        values = []
    if len(values) not in (1, 3) or not all(0 <= value < float("inf") for value in values):
        raise InputError(f"{where}: '{text}' is not a time; give seconds or HH:MM:SS.ss.")
    return values[0] if len(values) == 1 else values[0] * 3600 + values[1] * 60 + values[2]


def whole(text: str, where: str, what: str) -> int:
    """A whole number from zero up.

    Raises:
        InputError: it is not.
    """
    digits = text.strip()
    if digits.isascii() and digits.isdigit():
        return int(digits)
    raise InputError(f"{where}: {what} '{text}' is not a whole number.")


def check_stretch(start: float, end: float, where: str) -> None:
    """Refuse a segment that ends before it begins, or lasts no time."""
    if end <= start:
        raise InputError(f"{where}: the segment ends at {end:g}, but begins at {start:g}.")


class Unique:
    """Refuses the second of two entries with the same id."""

    def __init__(self, path: Path, entry: str = "line") -> None:
        self._path = path
        self._entry = entry
        self._seen: dict[str, int] = {}

    def add(self, name: str, line: int) -> None:
        """Note an id.

        Raises:
            InputError: it is in the list already; both lines are named.
        """
        first = self._seen.setdefault(name, line)
        if first != line:
            raise InputError(
                f"{self._path}, {self._entry} {line}: '{name}' is already {self._entry} {first}; "
                f"remove one of them."
            )


class Classes:
    """Class numbers by name.

    Raises:
        InputError: a class is named twice.
    """

    def __init__(self, labels: Iterable[str], origin: str) -> None:
        self.labels = tuple(labels)
        twice = [label for label, count in Counter(self.labels).items() if count > 1]
        if twice:
            raise InputError(f"{origin} names the class '{twice[0]}' twice; remove one of them.")
        self._numbers = {label: number for number, label in enumerate(self.labels)}
        self._origin = origin

    def number(self, label: str, where: str) -> int:
        """The number of a class.

        Raises:
            InputError: there is no such class; the nearest is given.
        """
        number = self._numbers.get(label)
        if number is None:
            text = f"{where}: '{label}' is not among the {len(self.labels)} classes of"
            raise InputError(unknown_name(f"{text} {self._origin}", label, self.labels))
        return number

    def check(self, number: int, where: str) -> int:
        """A class number that may be out of range.

        Raises:
            InputError: it is.
        """
        if not 0 <= number < len(self.labels):
            raise InputError(
                f"{where}: class {number} is out of range; {self._origin} has "
                f"{len(self.labels)} classes, from 0 to {len(self.labels) - 1}."
            )
        return number


def _had_from(home: str) -> str:
    return f"; it is had from {home}" if home else ""
