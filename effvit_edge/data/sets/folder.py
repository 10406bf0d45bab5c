"""A folder of videos for each class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from effvit_edge.core.card import LabelGroup
from effvit_edge.core.errors import InputError
from effvit_edge.core.video import VIDEO_SUFFIXES
from effvit_edge.data.segments import Segment, SegmentList
from effvit_edge.data.sets.base import SetCard, Source


@dataclass(frozen=True)
class FolderOptions:
    """Options of ``data.set: folder``."""

    train: str = ""
    """Folder below the root that holds the training videos' classes, such as ``train``."""
    eval: str = ""
    """The same for evaluation, such as ``val``. Give both, or neither."""
    directional: bool = False
    """Whether mirroring changes a label."""


def parse(source: Source, options: FolderOptions) -> SegmentList:
    """Every subfolder is a class, in alphabetical order; its videos lie anywhere below it.

    Raises:
        InputError: no classes, a class without videos, or a class that only one part has.
    """
    if source.annotations != source.root:
        raise InputError(
            f"data.set 'folder' takes its labels from folders, and no data.annotations "
            f"({source.annotations}); for a list say data.set: csv."
        )
    if bool(options.train) != bool(options.eval):
        raise InputError("Give both data.options.train and data.options.eval, or neither.")
    place = source.root / (options.train if source.part == "train" else options.eval)
    folders = _class_folders(place)
    if options.train and source.part == "eval":
        _check_same_classes(folders, _class_folders(source.root / options.train))
    segments = []
    for label, folder in enumerate(folders):
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES)
        if not files:
            raise InputError(f"Class folder {folder} has no videos; add some or remove it.")
        segments += [
            Segment(path.relative_to(source.root).as_posix(), path, (label,)) for path in files
        ]
    group = LabelGroup("label", tuple(folder.name for folder in folders))
    return SegmentList((group,), tuple(segments), directional=options.directional)


def _class_folders(place: Path) -> list[Path]:
    if not place.is_dir():
        raise InputError(f"There is no folder {place}; give the folder that holds one per class.")
    folders = sorted(p for p in place.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not folders:
        raise InputError(
            f"{place} has no subfolders; make one for each class and put its videos there."
        )
    return folders


def _check_same_classes(held: list[Path], train: list[Path]) -> None:
    different = {path.name for path in held} ^ {path.name for path in train}
    if different:
        raise InputError(
            f"Class folder '{min(different)}' is in only one of {train[0].parent} and "
            f"{held[0].parent}; both need the same classes."
        )


def _has_split(source: Source, options: FolderOptions) -> bool:
    return bool(options.train)


CARD = SetCard(
    name="folder",
    summary="a folder of videos for each class",
    options=FolderOptions,
    parse=parse,
    has_split=_has_split,
)
