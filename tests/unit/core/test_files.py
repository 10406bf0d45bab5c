from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from effvit_edge.core.errors import EdgeError, EnvironmentFault, InputError
from effvit_edge.core.files import (
    atomic_pair,
    atomic_path,
    brought_back,
    scratch_folder,
    sha256_file,
    why_not_writable,
)


def test_the_final_name_appears_only_when_the_block_has_ended(tmp_path: Path) -> None:
    final = tmp_path / "clips.npz"
    with atomic_path(final) as temporary:
        temporary.write_text("half")
        assert not final.exists()
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".npz"
        assert temporary.name.startswith(".")
    assert [path.name for path in tmp_path.iterdir()] == ["clips.npz"]
    assert final.read_text() == "half"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    final = tmp_path / "card.json"
    final.write_text("old")
    with pytest.raises(error), atomic_path(final) as temporary:
        temporary.write_text("new")
        raise error
    assert [path.name for path in tmp_path.iterdir()] == ["card.json"]
    assert final.read_text() == "old"


def test_a_block_that_wrote_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "out.txt"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_missing_folders_are_made(tmp_path: Path) -> None:
    final = tmp_path / "runs" / "first" / "card.json"
    with atomic_path(final) as temporary:
        temporary.write_text("{}")
    assert final.read_text() == "{}"


@pytest.mark.parametrize("name", ["folder", "/dev/null"])
def test_what_is_no_regular_file_is_never_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="Give the name of a file"), atomic_path(tmp_path / name):
        pass


def test_the_hash_is_that_of_the_whole_file(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000  # longer than one chunk
    path = tmp_path / "weights"
    path.write_bytes(content)
    assert sha256_file(path) == hashlib.sha256(content).hexdigest()


def test_two_files_get_their_names_or_neither_does(tmp_path: Path) -> None:
    model, clips = tmp_path / "m.onnx", tmp_path / "m.npz"
    with atomic_pair(model, clips) as (first, second):
        first.write_text("model")
        second.write_text("clips")
    assert (model.read_text(), clips.read_text()) == ("model", "clips")
    with pytest.raises(KeyboardInterrupt), atomic_pair(model, clips) as (first, second):
        first.write_text("another")
        raise KeyboardInterrupt
    assert (model.read_text(), clips.read_text()) == ("model", "clips")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.npz", "m.onnx"]


def test_what_killed_processes_left_goes_with_the_next_pair_of_the_name(tmp_path: Path) -> None:
    """Each process leaves without its ``finally``, as SIGKILL makes it."""
    code = (
        "import os, sys; from pathlib import Path; from effvit_edge.core.files import atomic_pair\n"
        "with atomic_pair(Path(sys.argv[1]), Path(sys.argv[1] + '.json')) as files:\n"
        "    [file.touch() for file in files]; os._exit(9)"
    )
    for name in ("m.plan", "m.plan", "other.plan"):
        command = [sys.executable, "-c", code, str(tmp_path / name)]
        assert subprocess.run(command, check=False).returncode == 9
    assert len(list(tmp_path.iterdir())) == 6
    kept = min(tmp_path.glob(".m.*"))  # of a process that may be at work
    for path in tmp_path.iterdir():
        if path != kept:
            os.utime(path, (1.7e9, 1.7e9))
    with atomic_pair(tmp_path / "m.plan", tmp_path / "m.plan.json") as files:
        for file in files:
            file.touch()
    left = {path.name for path in tmp_path.iterdir()}
    assert {"m.plan", "m.plan.json", kept.name} <= left
    assert len(left) == 5 and sum(name.startswith(".other.") for name in left) == 2


@pytest.mark.parametrize(
    ("code", "kind"),
    [(errno.ENOSPC, EdgeError), (errno.EROFS, EnvironmentFault), (errno.EACCES, EnvironmentFault)],
)
def test_a_disk_that_refuses_is_told(tmp_path: Path, code: int, kind: type[EdgeError]) -> None:
    with (
        pytest.raises(kind, match=rf"m\.onnx could not be written: {os.strerror(code).lower()}\."),
        atomic_pair(tmp_path / "m.onnx", tmp_path / "m.npz") as (first, _),
    ):
        first.write_text("half")
        raise OSError(code, os.strerror(code))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    assert why_not_writable(tmp_path / "new" / "deep") == ""
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_folder_and_that_is_another_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        why_not_writable(tmp_path / "file" / "deep")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /sys")
def test_a_folder_that_nobody_can_write_is_found() -> None:
    """Not by its permissions, which the superuser passes."""
    assert why_not_writable(Path("/sys/kernel")) in ("permission denied", "read-only file system")


def test_a_pair_that_is_interrupted_between_its_names_stays_the_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, clips = tmp_path / "m.onnx", tmp_path / "m.npz"
    with atomic_pair(model, clips) as files:
        for file in files:
            file.write_text("old")
    real, done = Path.replace, []

    def interrupted(self: Path, target: Path) -> Path:
        found = real(self, target)
        done.append(target)
        if len(done) == 1:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_pair(model, clips) as files:
        for file in files:
            file.write_text("new")
    assert (model.read_text(), clips.read_text()) == ("old", "old")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.npz", "m.onnx"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), ValueError()])
def test_files_are_brought_back_where_the_work_fails(
    tmp_path: Path, failure: BaseException
) -> None:
    there, new = tmp_path / "a.onnx", tmp_path / "b.onnx"
    there.write_text("old")
    with pytest.raises(type(failure)), brought_back(there, new):
        with atomic_path(there) as file:
            file.write_text("new")
        new.write_text("new")
        raise failure
    assert (there.read_text(), new.read_text()) == ("old", "new")
    with brought_back(there), atomic_path(there) as file:
        file.write_text("new")
    assert there.read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "b.onnx"]


def test_a_scratch_folder_goes_and_old_ones_of_killed_processes_too(tmp_path: Path) -> None:
    killed = tmp_path / ".m.0123456789ab.onnx"
    killed.mkdir()
    (killed / "model.onnx").touch()
    os.utime(killed, (0, 0))
    with scratch_folder(tmp_path / "m.onnx") as folder:
        assert folder.parent == tmp_path and folder.name.startswith(".m.")
        (folder / "model.onnx").write_text("x")
        assert not killed.exists()
    assert list(tmp_path.iterdir()) == []
