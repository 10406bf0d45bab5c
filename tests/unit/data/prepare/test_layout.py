from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effvit_edge.data.prepare.layout import (
    BLOCK,
    END,
    TABLE,
    Entry,
    Member,
    SourceFile,
    entry_from_line,
    read_table,
    table_bytes,
    tar_bytes,
)

counts = st.integers(0, 2**60)
seconds = st.floats(0, 1e6)
names = st.text(max_size=20)
entries = st.builds(
    Entry,
    number=counts,
    name=names,
    targets=st.lists(st.integers(0, 5000), max_size=4).map(tuple),
    start_s=seconds,
    end_s=st.none() | seconds,
    source=st.none() | st.builds(SourceFile, path=names, bytes=counts, mtime_ns=counts),
    failure=st.none() | names,
    shard=names,
    offset=counts,
    bytes=counts,
    sha256=names,
    table=st.tuples(counts, counts),
    pictures=st.tuples(counts, counts),
    frames=counts,
    duration_s=seconds,
    lead_s=seconds,
    losses=names,
)


@given(entry=entries)
def test_a_line_of_the_index_gives_the_entry_back(entry: Entry) -> None:
    line = entry.to_line()
    assert line.endswith("\n") and "\n" not in line[:-1]
    assert entry_from_line(line) == entry


@given(cut=st.integers(1, 300))
def test_a_line_that_was_broken_off_is_no_entry(cut: int) -> None:
    line = Entry(3, "a/ü.mp4", (1, 2), 0.5, None, SourceFile("x", 5, 6)).to_line()
    with pytest.raises(ValueError):
        entry_from_line(line[: -min(cut, len(line) - 1) - 1])


@given(contents=st.lists(st.binary(max_size=3 * BLOCK), min_size=1, max_size=4))
def test_members_are_where_they_are_said_to_be_and_tar_reads_them(contents: list[bytes]) -> None:
    members = tuple(Member(f"{i:09d}.bin", content) for i, content in enumerate(contents))
    packed, starts = tar_bytes(members)
    assert [packed[s : s + len(c)] for s, c in zip(starts, contents, strict=True)] == contents
    with tarfile.open(fileobj=io.BytesIO(packed + END)) as archive:
        found = [(m.name, archive.extractfile(m).read()) for m in archive]  # type: ignore[union-attr]
    assert found == [(member.name, member.content) for member in members]


def test_a_table_of_frames_survives_its_file_and_nothing_else_is_taken_for_one() -> None:
    table = np.array([(0.04, 512, 7), (0.08, 1000, 2**32 - 1)], TABLE)
    assert (read_table(table_bytes(table)) == table).all()
    for other in (np.zeros(3), np.zeros(0, TABLE), np.zeros((1, 2), TABLE)):
        with pytest.raises(ValueError, match="expected a table"):
            read_table(table_bytes(other))
    with pytest.raises(ValueError):
        read_table(b"no such file")
