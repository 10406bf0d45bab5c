"""Writing the shards and the index of one part, so that a kill at any moment costs one segment.

While it grows, the index is ``PART.partial.jsonl`` and the newest shard
``PART-000000.partial.tar``. A segment goes into the shard first and into the index after that; what
the index does not name, or what is not there as the index says, is done again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from effvit_edge.core.closing import Closing
from effvit_edge.core.errors import EdgeError
from effvit_edge.data.prepare.encode import Prepared
from effvit_edge.data.prepare.index import (
    index_path,
    partial_shard,
    read_index,
    shard_name,
    shard_number,
)
from effvit_edge.data.prepare.layout import END, Entry


class PartWriter(Closing):
    """Appends segments to a part, in the order of the list, from where an earlier run stopped.

    Args:
        folder: of the whole set; it must be there.
        part: ``train`` or ``eval``.
        shard_bytes: a shard is closed before it would exceed this; a single larger segment gets a
            shard of its own.

    Raises:
        EdgeError: the disk is full or cannot be written.
    """

    def __init__(self, folder: Path, part: str, shard_bytes: int) -> None:
        self._folder = folder
        self._part = part
        self._shard_bytes = shard_bytes
        self._shard: BinaryIO | None = None
        self._index: TextIO | None = None
        self.entries: list[Entry] = []
        """What is done, in order."""
        with _explained(folder):
            self._recover()

    @property
    def finished(self) -> bool:
        """Whether the part was finished, by this run or one before it."""
        return index_path(self._folder, self._part).is_file()

    def add(self, prepared: Prepared) -> None:
        """Append a segment.

        Raises:
            EdgeError: the disk is full or cannot be written.
        """
        entry = prepared.entry
        with _explained(self._folder):
            if prepared.content:
                entry = self._store(entry, prepared.content)
            if self._index is None:
                self._index = self._partial_index().open("a", encoding="utf-8")
            self._index.write(entry.to_line())
            self._index.flush()
        self.entries.append(entry)

    def finish(self) -> None:
        """Close the last shard and give the index its name.

        Raises:
            EdgeError: the disk is full or cannot be written.
        """
        with _explained(self._folder):
            self._close_shard()
            if self._index is None:
                self._index = self._partial_index().open("a", encoding="utf-8")
            os.fsync(self._index.fileno())
            self._index.close()
            self._partial_index().rename(index_path(self._folder, self._part))
            _flush_folder(self._folder)

    def close(self) -> None:
        """Let go of the files, as they are."""
        for file in (self._shard, self._index):
            if file is not None:
                file.close()

    def _store(self, entry: Entry, content: bytes) -> Entry:
        if self._shard is not None and self._shard.tell() + len(content) > self._shard_bytes:
            self._close_shard()
        if self._shard is None:
            self._number += 1
            self._shard = self._partial_shard().open("wb")
        offset = self._shard.tell()
        self._shard.write(content)
        self._shard.flush()
        return dataclasses.replace(
            entry,
            shard=shard_name(self._part, self._number),
            offset=offset,
            table=(offset + entry.table[0], entry.table[1]),
            pictures=(offset + entry.pictures[0], entry.pictures[1]),
        )

    def _close_shard(self) -> None:
        if self._shard is None:
            return
        self._shard.write(END)
        self._shard.flush()
        os.fsync(self._shard.fileno())
        self._shard.close()
        self._shard = None
        self._partial_shard().rename(self._folder / shard_name(self._part, self._number))
        _flush_folder(self._folder)

    def _recover(self) -> None:
        """Keep the beginning of the index whose segments are all there, and nothing else."""
        done = index_path(self._folder, self._part)
        source = done if done.is_file() else self._partial_index()
        listed = read_index(source, broken_off=True) if source.is_file() else []
        kept = _whole_prefix(self._folder, listed)
        self.entries = kept
        last = next((entry for entry in reversed(kept) if entry.shard), None)
        self._number = -1 if last is None else shard_number(last.shard)
        self._remove_later_shards()
        if done.is_file() and len(kept) == len(listed):
            return
        done.unlink(missing_ok=True)
        lines = "".join(entry.to_line() for entry in kept)
        self._partial_index().write_text(lines, encoding="utf-8")
        partial = self._partial_shard()
        if last is not None and partial.is_file():
            self._shard = partial.open("r+b")
            self._shard.truncate(last.offset + last.bytes)
            self._shard.seek(0, os.SEEK_END)

    def _remove_later_shards(self) -> None:
        for path in self._folder.glob(f"{self._part}-*.tar"):
            if shard_number(path.name) > self._number:
                path.unlink()

    def _partial_index(self) -> Path:
        return self._folder / f"{self._part}.partial.jsonl"

    def _partial_shard(self) -> Path:
        return partial_shard(self._folder, shard_name(self._part, self._number))


def _whole_prefix(folder: Path, entries: list[Entry]) -> list[Entry]:
    """The entries up to the first whose bytes are not there."""
    shards: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.shard:
            shards.setdefault(entry.shard, []).append(entry)
    for shard, members in shards.items():
        good = _good_members(folder, shard, members)
        if good < len(members):
            return entries[: entries.index(members[good])]
    return entries


def _good_members(folder: Path, shard: str, members: list[Entry]) -> int:
    """How many of a shard's segments are there: by its size when whole, by their hashes else."""
    whole, partial = folder / shard, partial_shard(folder, shard)
    if whole.is_file():
        end = members[-1].offset + members[-1].bytes + len(END)
        return len(members) if whole.stat().st_size == end else 0
    if not partial.is_file():
        return 0
    with partial.open("rb") as file:
        for count, entry in enumerate(members):
            file.seek(entry.offset)
            if hashlib.sha256(file.read(entry.bytes)).hexdigest() != entry.sha256:
                return count
    return len(members)


def _flush_folder(folder: Path) -> None:
    """Let a new name outlive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Say of an error in writing what is to be done."""
    try:
        yield
    except OSError as error:
        raise EdgeError(
            f"{folder} cannot be written: {error.strerror}. What is prepared is kept; mend that "
            f"and give the same command to go on."
        ) from error
