"""What ``effvit-edge prepare`` writes: tar shards that WebDataset reads, and an index of them.

A folder holds ``prepared.json`` (the manifest), and for each part ``PART.jsonl`` (the index, one
line a segment) and ``PART-000000.tar``, … (the shards). A segment is three members of a shard, one
after another:

- ``KEY.json``: its name and targets, for people and other loaders;
- ``KEY.npy``: the table of its frames, :data:`TABLE`;
- ``KEY.mjpeg``: its frames as JPEG pictures, one behind the other, which players show as a film.

The index says where in the shard the table and the pictures begin, so that any frame of any
segment is read without a look at anything else.
"""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

SCHEMA_VERSION = 1
MANIFEST = "prepared.json"
BLOCK = 512
"""Bytes that everything in a tar file is rounded up to."""
END = bytes(2 * BLOCK)
"""What a tar file ends with."""

REMEDY = "Remove the shard: effvit-edge prepare, given as before, makes it again. Or copy it again."
"""What is done about a damaged shard."""

TABLE = np.dtype([("time_s", "<f8"), ("end", "<u8"), ("crc32", "<u4")])
"""Of each frame: when its source shows it, in seconds from the source's beginning; where its
picture ends in the pictures' bytes; and the CRC-32 of the picture."""


@dataclass(frozen=True)
class Form:
    """What is kept of every segment."""

    short_side: int
    """Pixels; a smaller frame stays as it is."""
    max_fps: float | None = None
    """Frames a second; None keeps all."""
    lead_s: float = 0.0
    """Seconds kept before a segment's start, where the source has them."""
    jpeg_quality: int = 90


@dataclass(frozen=True, slots=True)
class SourceFile:
    """What a segment was made from, as it was then."""

    path: str
    bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the index: where a segment lies, or why it could not be prepared."""

    number: int
    """In the order of the list."""
    name: str
    targets: tuple[int, ...]
    start_s: float
    """Where the segment begins and ends in its source, as listed."""
    end_s: float | None
    source: SourceFile | None
    """None where the file was missing."""
    failure: str | None = None
    """Why there is nothing of this segment; all below is then empty."""
    shard: str = ""
    """File name of the shard."""
    offset: int = 0
    """Where the segment begins in the shard, bytes."""
    bytes: int = 0
    sha256: str = ""
    """Of these bytes."""
    table: tuple[int, int] = (0, 0)
    """Where the table of frames begins in the shard, and its length."""
    pictures: tuple[int, int] = (0, 0)
    frames: int = 0
    duration_s: float = 0.0
    """Of the segment, as its source states it."""
    lead_s: float = 0.0
    """Footage kept before the segment's start, seconds."""
    losses: str = ""
    """What of the source's frames could not be used."""

    def to_line(self) -> str:
        """The line of the index, with its end."""
        return json.dumps(asdict(self)) + "\n"


def entry_from_line(line: str) -> Entry:
    """The entry of a line; by hand, since there may be a hundred thousand.

    Raises:
        ValueError: the line is no entry, as the end of a file that was broken off.
    """
    fields = json.loads(line)
    try:
        for name in ("targets", "table", "pictures"):
            fields[name] = tuple(fields[name])
        if fields["source"] is not None:
            fields["source"] = SourceFile(**fields["source"])
        return Entry(**fields)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an entry: {error}") from error


@dataclass(frozen=True)
class Member:
    """A file for a shard."""

    name: str
    content: bytes


def tar_bytes(members: tuple[Member, ...]) -> tuple[bytes, list[int]]:
    """Files as they lie in a tar file, and where the content of each begins.

    Nothing but name and content goes in: no time, no owner; the same files give the same bytes.
    """
    buffer = io.BytesIO()
    starts = []
    for member in members:
        header = tarfile.TarInfo(member.name)
        header.size = len(member.content)
        buffer.write(header.tobuf(tarfile.USTAR_FORMAT))
        starts.append(buffer.tell())
        buffer.write(member.content)
        buffer.write(bytes(-len(member.content) % BLOCK))
    return buffer.getvalue(), starts


def table_bytes(table: npt.NDArray[np.void]) -> bytes:
    """A table of frames as an ``.npy`` file."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, table, allow_pickle=False)
    return buffer.getvalue()


def read_table(content: bytes) -> npt.NDArray[np.void]:
    """The table of an ``.npy`` file.

    Raises:
        ValueError: it is not such a file, or holds something else.
    """
    table: npt.NDArray[np.void] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    if table.dtype != TABLE or table.ndim != 1 or not len(table):
        raise ValueError(f"expected a table of {TABLE}, got {table.dtype} of shape {table.shape}")
    return table
