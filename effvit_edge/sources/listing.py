"""What is behind a folder or a pattern: videos, or pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from effvit_edge.core.errors import InputError
from effvit_edge.core.video import VIDEO_SUFFIXES
from effvit_edge.sources.pictures import PICTURE_SUFFIXES, is_picture, name_order
from effvit_edge.sources.uri import SourceUri, parse_uri

_CARD = "card.json"  # of a checkpoint
OUTPUT_MARK = ".labelled"
"""Names that this package gives to its own videos; a folder that is read again skips them."""


@dataclass(frozen=True)
class SourceRef:
    """One source that can be opened."""

    uri: str = field(repr=False)
    """What ``open_source`` takes; may hold a password, so it is never shown."""
    name: str
    """What records call it, without secrets: the path inside the folder for a folder's files."""
    path: Path | None = None
    """The file that it is, where it is a file."""


def list_sources(uri: str) -> list[SourceRef]:
    """The single sources behind what the user named; a folder or a pattern may have many.

    A folder is its videos, sorted by path. Without videos, it is its pictures, and each folder in
    it that has pictures is another source.

    Raises:
        InputError: nothing is there, or ``uri`` names no source.
    """
    parsed = parse_uri(uri)
    query = _query(uri, parsed)
    if parsed.kind == "folder":
        return _in_folder(Path(parsed.target), query)
    if parsed.kind == "glob":
        return _matching(parsed.target, query)
    file = Path(parsed.target) if parsed.kind == "file" else None
    return [SourceRef(uri, source_name(parsed), file)]


def source_name(uri: SourceUri) -> str:
    """What records call a source by default."""
    if uri.kind == "v4l2" and uri.target.removeprefix("/dev/video").isdigit():
        return f"camera{uri.target.removeprefix('/dev/video')}"
    if uri.kind in ("csi", "synthetic"):
        return f"{uri.kind}-{uri.target}"
    return uri.shown


def pictures_of(uri: SourceUri) -> list[Path]:
    """The pictures behind a folder, or behind a pattern, in the order of their names.

    Raises:
        InputError: there are none.
    """
    if uri.kind == "folder":
        found: Iterable[Path] = Path(uri.target).iterdir()
    else:
        found = _globbed(uri.target)
    pictures = sorted((path for path in found if is_picture(path)), key=name_order)
    if not pictures:
        raise InputError(f"{uri.shown} has no pictures. Known endings: {_endings()}")
    return pictures


def _in_folder(folder: Path, query: str) -> list[SourceRef]:
    inside = [p for p in sorted(folder.rglob("*")) if _is_others(p.relative_to(folder))]
    found = [path for path in inside if path.is_file()]
    videos = [path for path in found if path.suffix.lower() in VIDEO_SUFFIXES]
    if videos:
        return [
            SourceRef(f"{path}{query}", path.relative_to(folder).as_posix(), path)
            for path in videos
        ]
    if any(path.name == _CARD for path in found):  # whose pictures are curves and tables
        raise InputError(
            f"{folder} holds a trained network, not footage. Export it with: effvit-edge export "
            f"{folder} -o mine.onnx; then label footage with --model mine.onnx."
        )
    folders = sorted({path.parent for path in found if is_picture(path)})
    if not folders:
        raise InputError(
            f"{folder} is a folder without videos and pictures. Known endings: {_endings()}"
        )
    return [SourceRef(f"{inner}{query}", _folder_name(inner, folder)) for inner in folders]


def _matching(pattern: str, query: str) -> list[SourceRef]:
    files = [path for path in _globbed(pattern) if path.is_file() and _is_others(path)]
    videos = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES]
    if videos:
        return [SourceRef(f"{path}{query}", str(path), path) for path in videos]
    folders: dict[Path, list[Path]] = defaultdict(list)
    for path in files:
        if is_picture(path):
            folders[path.parent].append(path)
    if len(folders) == 1:
        return [SourceRef(f"{pattern}{query}", pattern)]
    if folders:
        raise InputError(
            f"{pattern} matches pictures in {len(folders)} folders. Name one folder, or a folder "
            "above them, each of whose folders is then a source."
        )
    raise InputError(f"No video and no picture matches {pattern}. Known endings: {_endings()}")


def _query(text: str, uri: SourceUri) -> str:
    """The options as they were written, to hand on to each file."""
    start = text.find(uri.target) + len(uri.target)
    return text[start:]


def _folder_name(inner: Path, folder: Path) -> str:
    return str(folder) if inner == folder else inner.relative_to(folder).as_posix()


def _is_others(path: Path) -> bool:
    """Whether nothing in a path is hidden, or an output of this package."""
    return not any(_is_hidden(part) or OUTPUT_MARK in part for part in path.parts)


def _is_hidden(part: str) -> bool:
    return part.startswith(".") and part != ".."


def _globbed(pattern: str) -> list[Path]:
    root = Path(pattern).anchor
    return sorted(Path(root).glob(str(Path(pattern).relative_to(root))))


def _endings() -> str:
    return " ".join(sorted(VIDEO_SUFFIXES | PICTURE_SUFFIXES))
