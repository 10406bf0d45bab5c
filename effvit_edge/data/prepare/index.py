"""The names of a prepared set's files, and reading a part's index."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from effvit_edge.core.errors import InputError
from effvit_edge.data.prepare.layout import Entry, entry_from_line


def index_path(folder: Path, part: str) -> Path:
    """The index of a finished part."""
    return folder / f"{part}.jsonl"


def shard_name(part: str, number: int) -> str:
    """The file name of a shard."""
    return f"{part}-{number:06d}.tar"


def shard_number(name: str) -> int:
    """The number in a shard's file name, whole or partial."""
    return int(name.split(".")[0].rpartition("-")[2])


def partial_shard(folder: Path, shard: str) -> Path:
    """Where a shard lies while it grows."""
    return folder / f"{shard.removesuffix('.tar')}.partial.tar"


def read_index(path: Path, *, broken_off: bool = False) -> list[Entry]:
    """The entries of an index.

    Args:
        path: the file.
        broken_off: whether a bad line may end it, as after a kill; what comes before is given.

    Raises:
        InputError: a line is not an entry, naming it.
    """
    entries: list[Entry] = []
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            try:
                entries.append(entry_from_line(line))
            except ValueError as error:
                if broken_off:
                    break
                raise InputError(
                    f"{path}, line {number} is damaged. Prepare the set again, or copy it again."
                ) from error
    return entries


def find_entry(index: Path, name: str) -> Entry:
    """The entry of a prepared segment.

    Raises:
        InputError: no such index or segment.
    """
    entry = entries_by_name(index).get(name)
    if entry is None:
        raise InputError(f"{index} has no segment {name}.")
    return entry


def entries_by_name(index: Path) -> dict[str, Entry]:
    """All entries of an index, which a process reads once, and again when it has changed.

    Processes that are forked afterwards share what was read.

    Raises:
        InputError: no such index, or a line of it is damaged.
    """
    try:
        found = index.stat()
    except OSError as error:
        raise InputError(f"{index} cannot be read: {error.strerror}.") from error
    return _by_name(index, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4)
def _by_name(index: Path, mtime_ns: int, size: int) -> dict[str, Entry]:
    return {entry.name: entry for entry in read_index(index)}
