"""Why a file could not be opened as a video, in a sentence that a person can act on."""

from __future__ import annotations

import os
from pathlib import Path

from effvit_edge.core.errors import EnvironmentFault, InputError

_HEAD_BYTES = 4096
_MAX_BOXES = 64


def check_file(path: Path) -> None:
    """Refuse what is no file with content, before any decoder sees it.

    Raises:
        InputError: missing, a folder, not a regular file, or empty.
        EnvironmentFault: it may not be read.
    """
    if not path.exists():
        raise InputError(f"There is no file {path}.")
    if not path.is_file():
        raise InputError(f"{path} is not a regular file. Give a video file or a folder of videos.")
    if not os.access(path, os.R_OK):
        raise EnvironmentFault(f"{path} may not be read. Check its permissions.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes). Copy or record it again.")


def unreadable(path: Path, reason: str) -> InputError:
    """The error for a file that FFmpeg refuses to open.

    Args:
        path: a file with content.
        reason: FFmpeg's own words, used when nothing better is found.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if _is_text(head):
        return InputError(f"{path} is a text file, not a video.")
    if head[4:8] == b"ftyp" and b"moov" not in _top_level_boxes(path):
        return InputError(
            f"{path} is cut short: its index (the moov box) is missing, so nothing in it can be "
            "decoded. Copy or record it again."
        )
    return InputError(
        f"{path} cannot be opened as a video: {reason}. It is damaged, encrypted, "
        "or in a format that this FFmpeg does not know."
    )


def _is_text(head: bytes) -> bool:
    """Whether the bytes are printable UTF-8, but for a character cut at the end."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8")
    return all(character.isprintable() or character in "\t\n\r\f" for character in text)


def _top_level_boxes(path: Path) -> list[bytes]:
    """The kinds of the boxes an MP4 file is made of, as far as they can be followed."""
    kinds: list[bytes] = []
    position, size = 0, path.stat().st_size
    with path.open("rb") as file:
        while position + 8 <= size and len(kinds) < _MAX_BOXES:
            file.seek(position)
            header = file.read(16)
            length = int.from_bytes(header[:4], "big")
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            if length < 8 or position + length > size:
                break
            kinds.append(header[4:8])
            position += length
    return kinds
