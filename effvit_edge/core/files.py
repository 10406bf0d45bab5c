"""Writing whole files or none, and naming a file by what is in it."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from effvit_edge.core.errors import EdgeError, EnvironmentFault, InputError

_CHUNK_BYTES = 1 << 20
_MARK = 12  # hexadecimal digits in a hidden name
_LEFT_SECONDS = 24 * 3600.0
_REFUSALS = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Write a file so that its final name never holds half of it.

    Yields a path that does not exist yet, in the same folder (made when missing), hidden, with
    the same suffix. When the block ends well, what was written there is flushed to disk and takes
    the final name, replacing an older file; when it raises, nothing is left behind.

    Raises:
        InputError: ``path`` is a folder or a device, which must not be replaced.
    """
    _refuse_other_than_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _hidden(path)
    try:
        yield temporary
        _flush_to_disk(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_pair(path: Path, beside: Path) -> Iterator[tuple[Path, Path]]:
    """Two files that belong together, both or neither; see `atomic_path`.

    The first gets its name first; whoever needs both sees after a crash that one is missing. Where
    the second cannot get its name, the first has its older content again. Hidden files of the same
    names that a killed process left a day ago or more are removed.

    Raises:
        EdgeError: the disk is full, or refuses in another way.
        EnvironmentFault: the folder cannot be written.
        InputError: one of them is a folder or a device.
    """
    for name in (path, beside):
        _refuse_other_than_file(name)
    with writing(path):
        for name in (path, beside):
            name.parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(name)
        first, second, older = _hidden(path), _hidden(beside), _hidden(path)
        try:
            yield first, second
            _flush_to_disk(first)
            _flush_to_disk(second)
            _keep(path, older)
            try:
                first.replace(path)
                second.replace(beside)
            except BaseException:
                if second.exists() and older.exists():
                    older.replace(path)
                raise
        finally:
            for name in (first, second, older):
                name.unlink(missing_ok=True)


@contextmanager
def brought_back(*paths: Path) -> Iterator[None]:
    """Where the block fails or is interrupted, files that are there now are there again.

    Raises:
        EdgeError: they cannot be kept meanwhile; nothing was done.
    """
    older = {path: _hidden(path) for path in paths if path.is_file()}
    try:
        for path, name in older.items():
            with writing(path):
                _keep(path, name)
        try:
            yield
        except BaseException:
            for path, name in older.items():
                name.replace(path)
            raise
    finally:
        for name in older.values():
            name.unlink(missing_ok=True)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """A hidden folder beside a file that is to be, gone afterwards.

    Raises:
        EdgeError: the disk is full, or refuses in another way.
        EnvironmentFault: the folder cannot be written.
    """
    folder = _hidden(path)
    with writing(path):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _hidden(path: Path) -> Path:
    """A new name in the same folder, with the same suffix."""
    return path.with_name(f".{path.stem}.{uuid.uuid4().hex[:_MARK]}{path.suffix}")


def _refuse_other_than_file(path: Path) -> None:
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "not a regular file"
        raise InputError(f"Cannot write {path}: it is {kind}. Give the name of a file.")


def _keep(path: Path, name: Path) -> None:
    """Give a file's content, where there is one, a second name."""
    if not path.is_file():
        return
    try:
        os.link(path, name)
    except OSError:  # a file system without links
        shutil.copyfile(path, name)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Errors of the system in the block are told as those of writing this file.

    Raises:
        EdgeError: the disk is full, or refuses in another way.
        EnvironmentFault: the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        kind = EnvironmentFault if error.errno in _REFUSALS else EdgeError
        reason = (error.strerror or str(error)).lower()
        raise kind(f"{path} could not be written: {reason}.") from error


def _remove_leftovers(path: Path) -> None:
    """Remove what a process that was killed while it wrote this path has left.

    By age: the number of a process says nothing to other containers that share the folder, and no
    file takes a day to write.
    """
    name = re.compile(rf"\.{re.escape(path.stem)}\.[0-9a-f]{{{_MARK}}}{re.escape(path.suffix)}")
    latest = time.time() - _LEFT_SECONDS
    for found in path.parent.iterdir():
        if name.fullmatch(found.name):
            with suppress(OSError):  # another's, or gone already
                if found.lstat().st_mtime < latest:
                    shutil.rmtree(found) if found.is_dir() else found.unlink()


def why_not_writable(folder: Path) -> str:
    """Why a file cannot be made in a folder, or in the one that it would be made in.

    Found out by making a file, which is gone again: permissions alone do not tell.

    Returns:
        A reason; empty where it can.

    Raises:
        OSError: of another kind: it is no folder, or the disk is full.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    probe = there / f".writable-{uuid.uuid4().hex[:12]}"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        if error.errno in _REFUSALS:
            return (error.strerror or "no permission").lower()
        raise
    return ""


def _flush_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """See that a folder's files are on the disk, so that a power cut after this leaves them."""
    for path in folder.iterdir():
        _flush_to_disk(path)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
