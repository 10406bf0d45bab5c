from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effvit_edge.core.errors import EdgeError, InputError
from effvit_edge.data.prepare.encode import Prepared
from effvit_edge.data.prepare.index import read_index
from effvit_edge.data.prepare.layout import Entry, Member, tar_bytes
from effvit_edge.data.prepare.writer import PartWriter

SHARD_BYTES = 6000


def prepared(number: int) -> Prepared:
    """Something of a size of its own; every fifth failed."""
    entry = Entry(number, f"segment {number}", (number,), 0.0, None, None)
    if number % 5 == 3:
        return Prepared(dataclasses.replace(entry, failure="It is rotten."), b"")
    content, starts = tar_bytes(
        (Member(f"{number:09d}.bin", bytes([number]) * (700 * number + 1)),)
    )
    digest = hashlib.sha256(content).hexdigest()
    placed = dataclasses.replace(
        entry, bytes=len(content), sha256=digest, pictures=(starts[0], 700 * number + 1)
    )
    return Prepared(placed, content)


def write(folder: Path, count: int = 9, stop: int | None = None) -> None:
    """Append what is not there yet; with ``stop``, as if killed after so many."""
    with PartWriter(folder, "train", SHARD_BYTES) as writer:
        for number in range(len(writer.entries), count if stop is None else stop):
            writer.add(prepared(number))
        if stop is None and not writer.finished:
            writer.finish()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    write(folder)
    return contents(folder)


def test_shards_stay_below_their_size_unless_one_segment_is_larger(
    uninterrupted: dict[str, bytes],
) -> None:
    shards = {name: len(data) for name, data in uninterrupted.items() if name.endswith(".tar")}
    assert len(shards) > 3
    for name, size in shards.items():
        members = [e for e in entries(uninterrupted) if e.shard == name]
        assert size <= SHARD_BYTES + 1024 or len(members) == 1


def test_every_segment_is_where_the_index_says(uninterrupted: dict[str, bytes]) -> None:
    listed = entries(uninterrupted)
    assert [entry.number for entry in listed] == list(range(9))
    for entry in listed:
        if entry.failure is None:
            begin, size = entry.pictures
            assert uninterrupted[entry.shard][begin : begin + size] == bytes([entry.number]) * size


def entries(files: dict[str, bytes]) -> list[Entry]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.jsonl"
        path.write_bytes(files["train.jsonl"])
        return read_index(path)


@settings(max_examples=30)
@given(stop=st.integers(0, 9), data=st.data())
def test_broken_off_anywhere_and_given_again_it_ends_the_same(
    uninterrupted: dict[str, bytes], stop: int, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, stop=stop)
        # A loss of power may also take the end of what was not flushed yet.
        for path in sorted(folder.glob("*.partial.*")):
            size = path.stat().st_size
            with path.open("r+b") as file:
                file.truncate(size - data.draw(st.integers(0, min(size, 4000)), path.name))
        write(folder)
        assert contents(folder) == uninterrupted


def test_a_shard_that_was_removed_or_cut_is_made_again(
    tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    write(tmp_path)
    (tmp_path / "train-000001.tar").unlink()
    write(tmp_path)
    assert contents(tmp_path) == uninterrupted
    shard = tmp_path / "train-000002.tar"
    shard.write_bytes(shard.read_bytes()[:-700])
    write(tmp_path)
    assert contents(tmp_path) == uninterrupted


def test_a_finished_part_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    write(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_a_damaged_index_is_named_with_its_line(tmp_path: Path) -> None:
    write(tmp_path)
    index = tmp_path / "train.jsonl"
    lines = index.read_text().splitlines()
    lines[2] = lines[2][:20]
    index.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=r"train\.jsonl, line 3 is damaged"):
        read_index(index)


def test_a_folder_that_cannot_be_written_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match=r"gone cannot be written: No such file .* to go on"):
        PartWriter(tmp_path / "gone", "train", SHARD_BYTES)


LIMITED = """
import resource, sys
from pathlib import Path
from tests.unit.data.prepare.test_writer import prepared, PartWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))  # the system's own "no room for more"
writer = PartWriter(Path(sys.argv[1]), "train", 100_000)
for number in range(9):
    writer.add(prepared(number))
"""


def test_a_full_disk_loses_nothing_that_was_done(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)],
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "cannot be written: File too large. What is prepared is kept" in done.stderr
    with PartWriter(tmp_path, "train", 100_000) as writer:
        assert [entry.number for entry in writer.entries] == [0, 1]
