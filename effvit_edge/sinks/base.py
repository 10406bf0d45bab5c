"""What a sink does, and how a file that is being written keeps away from its final name.

While a sink writes ``NAME.ext``, the file is ``NAME.partial.ext``; it takes its final name when it
is complete. What was written before an interruption, even a kill, stays under the partial name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from effvit_edge.core.errors import EnvironmentFault, InputError

Image: TypeAlias = npt.NDArray[np.uint8]
"""``(H, W, 3)`` uint8 RGB."""


class RecordSink(Protocol):
    """Takes one record a decision."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Take a record, which JSON can hold.

        Raises:
            EnvironmentFault: it cannot be written.
        """
        ...

    def close(self, complete: bool) -> Path | None:
        """Finish, under the final name when complete. Closing twice is allowed.

        Returns:
            The file that holds what was written; None where there is none.
        """
        ...


class PictureSink(Protocol):
    """Takes pictures with the time each is shown."""

    def write(self, image: Image, pts_seconds: float) -> None:
        """Take a picture; times must increase.

        Raises:
            EnvironmentFault: it cannot be written.
        """
        ...

    def close(self, complete: bool) -> Path | None:
        """Finish, under the final name when complete. Closing twice is allowed.

        Returns:
            The file that holds what was written; None where there is none.
        """
        ...


class FeedSink(Protocol):
    """Shows others what is going on, live: a web page, a message broker.

    It is fed from the threads that label. Every call returns at once, whatever becomes of those
    who watch: what they are too slow for, they miss.
    """

    def label(self, record: Mapping[str, Any]) -> None:
        """A decision's record, as JSONL has it."""
        ...

    def event(self, event: Mapping[str, Any]) -> None:
        """An action began, or ended: ``id, source, label, score, start_s, end_s``.

        ``end_s`` is None while it goes on.
        """
        ...

    def wants_picture(self, source: str) -> bool:
        """Whether anyone would see a picture of that source now."""
        ...

    def picture(self, source: str, image: Image, pts_seconds: float) -> None:
        """The newest annotated picture of a source; the image must not change afterwards."""
        ...

    def status(self, status: Mapping[str, Any]) -> None:
        """How the run and its sources are doing, about twice a second."""
        ...

    def close(self) -> None:
        """Stop showing. Closing twice is allowed."""
        ...


def partial_path(path: Path) -> Path:
    """The name that a file has until it is complete: ``a.mp4`` is ``a.partial.mp4``."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


def check_place(path: Path) -> None:
    """See whether a file could be written, and write nothing.

    Raises:
        InputError: something that is no regular file has the name.
        EnvironmentFault: its folder cannot be made, or not be written to.
    """
    with writing(path):
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "not a regular file"
            raise InputError(f"Cannot write {path}: it is {kind}. Give the name of a file.")
        there = next(folder for folder in path.absolute().parents if folder.exists())
        if not there.is_dir():
            raise EnvironmentFault(f"Cannot write {path}: {there} is not a folder.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise EnvironmentFault(
            f"Cannot write {path}: no permission to write in {there}. Give another place."
        )


def prepare(path: Path) -> Path:
    """Make the folder of a file to be written, and return the file's partial name.

    Raises:
        InputError: something that is no regular file has the name.
        EnvironmentFault: the folder cannot be made, or not be written to.
    """
    check_place(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    return partial_path(path)


def finish(path: Path) -> Path:
    """Give a complete file its final name, replacing an older one at once."""
    partial = partial_path(path)
    with writing(path):
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    return path


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Map the operating system's errors while writing a file to one of ours."""
    try:
        yield
    except OSError as error:
        raise EnvironmentFault(
            f"Cannot write {path}: {error.strerror or error}. Check the disk and the permissions."
        ) from error
