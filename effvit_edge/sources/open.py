"""From what the user names to sources: a file, a folder of videos, a camera."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from effvit_edge.core.errors import InputError
from effvit_edge.core.video import VIDEO_SUFFIXES
from effvit_edge.sources.base import Source
from effvit_edge.sources.camera import CameraSource
from effvit_edge.sources.file import FileSource

OUTPUT_MARK = ".labelled"
"""Names that this package gives to its own videos; a folder that is read again skips them."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(//|\s)", re.IGNORECASE)
_CAMERA = re.compile(r"(?:/dev/video)?(\d+)")


@dataclass(frozen=True)
class SourceRef:
    """One source that can be opened."""

    uri: str
    name: str
    """What records call it: the path inside the folder for a folder's files."""


def list_sources(uri: str) -> list[SourceRef]:
    """The single sources behind what the user named; a folder has many, sorted by path.

    Raises:
        InputError: a folder without videos.
    """
    folder = Path(uri)
    if not folder.is_dir():
        return [SourceRef(uri, _plain_name(uri))]
    files = [path for path in sorted(folder.rglob("*")) if _is_video(path, folder)]
    if not files:
        raise InputError(
            f"{uri} is a folder without videos. Known endings: {' '.join(sorted(VIDEO_SUFFIXES))}"
        )
    return [SourceRef(str(path), path.relative_to(folder).as_posix()) for path in files]


def open_source(uri: str, name: str | None = None) -> Source:
    """Open one source.

    Args:
        uri: a video file, or a camera as ``0`` or ``/dev/video0``.
        name: each record's ``source``; ``uri`` when not given.

    Raises:
        InputError: the source is missing, cannot be used, or of a kind that is not known.
        EnvironmentFault: a library, device or permission is missing.
    """
    camera = _camera_index(uri)
    if camera is not None:
        return CameraSource(camera)
    scheme = _SCHEME.match(uri)
    if scheme and not Path(uri).exists():
        raise InputError(
            f"Sources of the kind '{scheme[1]}:' are not known to this version. "
            "Give a video file, a folder of videos, or the number of a camera."
        )
    if Path(uri).is_dir():
        raise InputError(f"{uri} is a folder. list_sources tells what is in it.")
    return FileSource(Path(uri), name)


def _camera_index(uri: str) -> int | None:
    match = _CAMERA.fullmatch(uri)
    return int(match[1]) if match and not Path(uri).is_file() else None


def _plain_name(uri: str) -> str:
    camera = _camera_index(uri)
    return uri if camera is None else f"camera{camera}"


def _is_video(path: Path, folder: Path) -> bool:
    inside = path.relative_to(folder).parts
    own = any(part.startswith(".") or OUTPUT_MARK in part for part in inside)
    return not own and path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()
