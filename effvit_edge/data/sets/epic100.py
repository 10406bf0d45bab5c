"""EPIC-KITCHENS-100: the official CSV files, whole videos or chunks of 15 seconds.

Source of the lists: https://github.com/epic-kitchens/epic-kitchens-100-annotations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

from effvit_edge.core.card import LabelGroup
from effvit_edge.core.errors import InputError
from effvit_edge.data.segments import ChunkFolders, Segment, SegmentList, Storage, VideoFiles
from effvit_edge.data.sets.base import SetCard, Source
from effvit_edge.data.sets.reading import (
    Classes,
    Table,
    Unique,
    check_stretch,
    find_file,
    read_csv,
    seconds,
    whole,
)

HOME = "https://github.com/epic-kitchens/epic-kitchens-100-annotations"


@dataclass(frozen=True)
class EpicOptions:
    """Options of ``data.set: epic100``."""

    heads: tuple[Literal["action", "verb", "noun"], ...] = ("action",)
    """Label groups, in the order of the logits; verbs and nouns can also be had from actions."""
    layout: Literal["auto", "videos", "chunks"] = "auto"
    """``videos``: ``P01/videos/P01_01.MP4`` or ``P01/P01_01.MP4``; ``chunks``:
    ``P01/P01_01.MP4/15.MP4``, named by their start in seconds; ``auto`` looks what is there."""
    chunk_seconds: float = 15.0
    """Length of a chunk."""
    train_list: str = "EPIC_100_train.csv"
    eval_list: str = "EPIC_100_validation.csv"


class _Row(NamedTuple):
    """What is used of a row of the list."""

    name: str
    video: str
    start_s: float
    end_s: float
    verb: int
    noun: int


@dataclass(frozen=True)
class _Labels:
    """The classes of verbs, nouns and, where they are asked for, actions."""

    verbs: Classes
    nouns: Classes
    actions: Mapping[tuple[int, int], int] = field(default_factory=dict)

    def with_actions(self, tables: Iterable[Table]) -> _Labels:
        """The same with the (verb, noun) pairs that occur, in the order of the texts "verb:noun".

        That is the order of AVION's checkpoints, in which "10:0" comes before "2:0".
        """
        first: dict[tuple[str, str], str] = {}
        for table in tables:
            for line, (verb, noun) in table.pick("verb_class", "noun_class"):
                if (verb, noun) not in first:
                    first[verb, noun] = f"{table.path}, line {line}"
        pairs = {
            f"{verb}:{noun}": self.pair(verb, noun, where) for (verb, noun), where in first.items()
        }
        numbers = {pairs[text]: number for number, text in enumerate(sorted(pairs))}
        return replace(self, actions=numbers)

    def pair(self, verb: str, noun: str, where: str) -> tuple[int, int]:
        """The class numbers of a row."""
        return (
            self.verbs.check(whole(verb, where, "verb_class"), where),
            self.nouns.check(whole(noun, where, "noun_class"), where),
        )

    def number(self, head: str, row: _Row) -> int:
        """The class number of a row in a label group."""
        if head == "verb":
            return row.verb
        return row.noun if head == "noun" else self.actions[row.verb, row.noun]

    def names(self, head: str) -> tuple[str, ...]:
        """The labels of a group, in order."""
        if head != "action":
            return self.verbs.labels if head == "verb" else self.nouns.labels
        return tuple(
            f"{self.verbs.labels[verb]} {self.nouns.labels[noun]}" for verb, noun in self.actions
        )


def parse(source: Source, options: EpicOptions) -> SegmentList:
    """The segments of the training or validation list, in its order.

    Raises:
        InputError: a list is missing or has a row that cannot be used.
    """
    if not options.heads or len(set(options.heads)) < len(options.heads):
        raise InputError("data.options.heads takes action, verb and noun, each at most once.")
    if options.chunk_seconds <= 0:
        raise InputError("data.options.chunk_seconds must be positive.")
    folder = source.annotations
    names = (options.train_list, options.eval_list)
    path = folder / names[0 if source.part == "train" else 1]
    # Actions are numbered over both parts.
    wanted = [folder / name for name in names] if "action" in options.heads else [path]
    tables = {p: read_csv(find_file(folder, [p.name], home=HOME)) for p in wanted}
    labels = _Labels(_classes(folder, "verb"), _classes(folder, "noun"))
    if "action" in options.heads:
        labels = labels.with_actions(tables.values())
    rows = _read_rows(tables[path], labels)
    storage, paths = _find_videos(source.root, (row.video for row in rows), options)
    segments = tuple(
        Segment(
            row.name,
            paths[row.video],
            tuple(labels.number(head, row) for head in options.heads),
            row.start_s,
            row.end_s,
        )
        for row in rows
    )
    groups = tuple(LabelGroup(head, labels.names(head)) for head in options.heads)
    return SegmentList(groups, segments, storage)


def _classes(folder: Path, kind: str) -> Classes:
    """Names of verbs or nouns by their numbers."""
    path = find_file(folder, [f"EPIC_100_{kind}_classes.csv"], home=HOME)
    names: list[str] = []
    for line, (number, name) in read_csv(path).pick("id", "key"):
        where = f"{path}, line {line}"
        if whole(number, where, "class") != len(names):
            raise InputError(f"{where}: expected class {len(names)}, got {number}.")
        if not name or " " in name:
            raise InputError(
                f"{where}: '{name}' is no name without spaces; an action's label is the verb's and "
                f"the noun's with one space between them."
            )
        names.append(name)
    return Classes(names, str(path))


def _read_rows(table: Table, labels: _Labels) -> list[_Row]:
    """The rows of a list, timed by their timestamps or, where it has none, by frame numbers."""
    timed = "start_timestamp" in table.columns
    times = ("start_timestamp", "stop_timestamp") if timed else ("start_frame", "stop_frame")
    named = "narration_id" in table.columns
    columns = ("video_id", *times, "verb_class", "noun_class", *(["narration_id"] if named else []))
    unique = Unique(table.path)
    result = []
    for line, (video, start, stop, verb, noun, *names) in table.pick(*columns):
        where = f"{table.path}, line {line}"
        if timed:
            start_s, end_s = seconds(start, where), seconds(stop, where)
        else:
            rate = frame_rate(video)
            start_s, end_s = (whole(text, where, "frame") / rate for text in (start, stop))
        check_stretch(start_s, end_s, where)
        name = names[0] if names else f"{video} line {line}"
        unique.add(name, line)
        result.append(_Row(name, video, start_s, end_s, *labels.pair(verb, noun, where)))
    return result


def frame_rate(video: str) -> float:
    """Rate at which the lists count a video's frames, whatever rate the file has.

    60 a second for videos of the first release (``P01_01``), 50 for later ones (``P01_101``).
    Against the timestamps of the same rows this is exact to a frame, while the rates of
    ``EPIC_100_video_info.csv`` are up to three minutes off.
    """
    return 50.0 if len(video.partition("_")[2]) == 3 else 60.0


def _find_videos(
    root: Path, videos: Iterable[str], options: EpicOptions
) -> tuple[Storage, dict[str, Path]]:
    """Where each video lies, or would lie as the official download arranges it."""
    folders = {video: root / video.partition("_")[0] for video in videos}
    chunks = {video: folder / f"{video}.MP4" for video, folder in folders.items()}
    if options.layout == "chunks" or (
        options.layout == "auto" and any(path.is_dir() for path in chunks.values())
    ):
        return ChunkFolders(options.chunk_seconds), chunks
    paths = {}
    for video, folder in folders.items():
        places = [
            place / f"{video}{suffix}"
            for place in (folder / "videos", folder, root)
            for suffix in (".MP4", ".mp4")
        ]
        paths[video] = next((path for path in places if path.is_file()), places[0])
    return VideoFiles(), paths


CARD = SetCard(
    name="epic100",
    summary="EPIC-KITCHENS-100, verbs, nouns and actions in kitchens",
    options=EpicOptions,
    parse=parse,
    lists=(
        "EPIC_100_train.csv",
        "EPIC_100_validation.csv",
        "EPIC_100_verb_classes.csv",
        "EPIC_100_noun_classes.csv",
    ),
    home=HOME,
)
