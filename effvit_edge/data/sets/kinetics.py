"""Kinetics-400, -600 and -700: CSV files of YouTube ids, and the names that downloads have."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from effvit_edge.core.card import LabelGroup
from effvit_edge.core.errors import InputError
from effvit_edge.core.video import VIDEO_SUFFIXES
from effvit_edge.data.segments import Segment, SegmentList
from effvit_edge.data.sets.base import SetCard, Source
from effvit_edge.data.sets.reading import (
    Classes,
    Table,
    Unique,
    check_stretch,
    read_csv,
    read_lines,
    seconds,
)

HOME = "https://github.com/cvdfoundation/kinetics-dataset"
_SPLITS = {"train": ("train",), "eval": ("val", "validate", "validation")}


@dataclass(frozen=True)
class KineticsOptions:
    """Options of ``data.set: kinetics``."""

    files: str = "auto"
    """Where a clip lies below the root, with ``{id}``, ``{start:06d}``, ``{end:06d}``, ``{label}``
    and ``{label_}`` (underscores for spaces); ``auto`` looks for ``ID_000417_000427.mp4`` and
    ``ID.mp4`` anywhere below it."""
    trimmed: bool = True
    """Whether a file holds the clip alone; if not, it is the whole video of YouTube."""
    train_list: str = ""
    """File of the training rows; "" takes the one ``*train*.csv`` that is there."""
    eval_list: str = ""
    """File of the evaluation rows; "" takes the one ``*val*.csv`` that is there."""
    labels: str = ""
    """File of the classes beside the lists, one a line; "" takes the labels of the lists in
    alphabetical order."""


@dataclass(frozen=True)
class _Clip:
    line: int
    label: str
    video: str
    start_s: float
    end_s: float

    @property
    def name(self) -> str:
        """As the official crawler names it."""
        return f"{self.video}_{int(self.start_s):06d}_{int(self.end_s):06d}"


def parse(source: Source, options: KineticsOptions) -> SegmentList:
    """The clips of a part, in the order of its list.

    Raises:
        InputError: a list is missing, or has a row that cannot be used or a clip twice.
    """
    path = _list_of(source, options, source.part)
    table = read_csv(path, home=HOME)
    clips = _read_clips(table, _SPLITS[source.part] if source.annotations.is_file() else ())
    if not clips:
        wanted = " or ".join(_SPLITS[source.part])
        raise InputError(f"{path}: no row has the split {wanted}.")
    classes = _classes(source, options, table)
    find = _finder(source.root, options)
    segments = tuple(
        Segment(
            clip.name,
            find(clip),
            (classes.number(clip.label, f"{path}, line {clip.line}"),),
            0.0 if options.trimmed else clip.start_s,
            None if options.trimmed else clip.end_s,
        )
        for clip in clips
    )
    return SegmentList((LabelGroup("label", classes.labels),), segments)


def _list_of(source: Source, options: KineticsOptions, part: str) -> Path:
    """The CSV file of a part.

    Raises:
        InputError: there is none, or several that could be meant.
    """
    if source.annotations.is_file():
        return source.annotations
    name = options.train_list if part == "train" else options.eval_list
    if name:
        return source.annotations / name
    pattern = "*train*.csv" if part == "train" else "*val*.csv"
    found = sorted(source.annotations.glob(pattern))
    if len(found) == 1:
        return found[0]
    several = f"{len(found)} files {pattern}: {', '.join(p.name for p in found)}"
    raise InputError(
        f"{source.annotations} holds {several if found else f'no file {pattern}'}; name the list "
        f"with data.options.{part}_list. Lists are had from {HOME}."
    )


def _read_clips(table: Table, splits: Sequence[str]) -> list[_Clip]:
    """The rows of a table; with ``splits`` only those whose column ``split`` has one of them."""
    unique = Unique(table.path)
    clips = []
    columns = ("label", "youtube_id", "time_start", "time_end", *(["split"] if splits else []))
    for line, (label, video, start, end, *split) in table.pick(*columns):
        if split and split[0].strip().lower() not in splits:
            continue
        where = f"{table.path}, line {line}"
        if not label or not video:
            raise InputError(f"{where}: label or youtube_id is empty.")
        clip = _Clip(line, label, video, seconds(start, where), seconds(end, where))
        check_stretch(clip.start_s, clip.end_s, where)
        unique.add(clip.name, line)
        clips.append(clip)
    return clips


def _classes(source: Source, options: KineticsOptions, table: Table) -> Classes:
    """The labels in alphabetical order: of both lists, where both are there."""
    if options.labels:
        path = table.path.parent / options.labels
        return Classes([label for _, label in read_lines(path)], str(path))
    tables = [table]
    if source.annotations.is_dir():
        other = "eval" if source.part == "train" else "train"
        pattern = {"train": "*train*.csv", "eval": "*val*.csv"}[other]
        name = options.train_list if other == "train" else options.eval_list
        if name or len(list(source.annotations.glob(pattern))) == 1:
            tables.append(read_csv(_list_of(source, options, other), home=HOME))
    labels = {label for each in tables for _, (label,) in each.pick("label")}
    return Classes(sorted(labels), " and ".join(str(each.path) for each in tables))


class _Template:
    """Finds clips by a template of their paths."""

    def __init__(self, root: Path, template: str) -> None:
        self._root, self._template = root, template

    def __call__(self, clip: _Clip) -> Path:
        try:
            return self._root / self._template.format(
                id=clip.video,
                start=int(clip.start_s),
                end=int(clip.end_s),
                label=clip.label,
                label_=clip.label.replace(" ", "_"),
            )
        except (KeyError, ValueError, IndexError) as error:
            raise InputError(
                f"data.options.files '{self._template}' cannot be filled in ({error}); it knows "
                f"{{id}}, {{start:06d}}, {{end:06d}}, {{label}} and {{label_}}."
            ) from error


class _Search:
    """Finds clips by their names anywhere below the root."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._places = _videos_below(root)

    def __call__(self, clip: _Clip) -> Path:
        folders = (clip.label, clip.label.replace(" ", "_"))
        for stem in (clip.name, clip.video):
            places = self._places.get(stem, ())
            # One id can be in several classes, and so in several folders.
            in_class = [path for path in places if path.parent.name in folders]
            if places:
                return (in_class or list(places))[0]
        return self._root / clip.label / f"{clip.name}.mp4"


def _finder(root: Path, options: KineticsOptions) -> _Template | _Search:
    return _Search(root) if options.files == "auto" else _Template(root, options.files)


def _videos_below(root: Path) -> Mapping[str, Sequence[Path]]:
    """All videos below a folder by their names without suffix."""
    places: dict[str, list[Path]] = defaultdict(list)
    for folder, folders, files in os.walk(root, followlinks=True):
        folders.sort()  # the order of the walk: the same on every machine
        for file in sorted(files):
            stem, suffix = os.path.splitext(file)  # noqa: PTH122 - 300,000 names, no path objects
            if suffix.lower() in VIDEO_SUFFIXES:
                places[stem].append(Path(folder, file))
    return places


CARD = SetCard(
    name="kinetics",
    summary="Kinetics-400, -600 and -700, clips of ten seconds from YouTube",
    options=KineticsOptions,
    parse=parse,
    lists=("one *train*.csv", "one *val*.csv"),
    home=HOME,
)
