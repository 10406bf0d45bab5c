"""Checking a download: what a set lists against what lies on the disk."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from effvit_edge.core.errors import InputError
from effvit_edge.core.files import sha256_file
from effvit_edge.data.prepare.index import entries_by_name
from effvit_edge.data.prepare.manifest import ListedSet
from effvit_edge.data.prepare.probe import Finding, Video, look_at
from effvit_edge.data.prepare.workers import map_in_order
from effvit_edge.data.segments import PreparedShards, Segment, SegmentList, VideoFiles
from effvit_edge.data.sets import drop_missing, open_part

WHOLE = "all"
"""The name of the only part of a set that has no split."""


@dataclass
class CheckReport:
    """What was found."""

    set: str
    full: bool
    """Whether every frame was decoded."""
    parts: dict[str, PartReport] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    """A sentence for each file that is not there."""
    unreadable: list[str] = field(default_factory=list)
    """A sentence for each file of no use."""
    damaged: list[str] = field(default_factory=list)
    """A sentence for each file that lost some of its frames."""
    beyond: list[str] = field(default_factory=list)
    """A sentence for each segment that reaches past the end of its video."""
    duplicates: list[list[str]] = field(default_factory=list)
    """Files with the same bytes."""
    leaks: list[str] = field(default_factory=list)
    """A sentence for each video that is both trained on and evaluated on."""
    shared: list[str] = field(default_factory=list)
    """Videos with segments in both parts that do not overlap."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Videos by width and height; of a prepared set, and below too, its segments."""
    rates: dict[str, int] = field(default_factory=dict)
    """Videos by frames a second."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Least, median, most and sum."""

    @property
    def sound(self) -> bool:
        """Whether nothing is missing, unreadable or in both parts."""
        return not (self.missing or self.unreadable or self.leaks)


@dataclass
class PartReport:
    """The counts of one part."""

    segments: int
    videos: int
    missing_segments: int
    classes: dict[str, dict[str, int]]
    """Of each label group, segments by class; a class without any has 0."""


def list_parts(source: ListedSet) -> dict[str, SegmentList]:
    """What is trained on and evaluated on; or everything, where a set names no split.

    Raises:
        InputError: a list that cannot be used.
    """
    root = Path(source.root)
    annotations = Path(source.annotations) if source.annotations is not None else None
    if bool(source.train) != bool(source.eval):
        raise InputError("Give both data.train and data.eval, or neither.")
    train = open_part(
        source.set, root, annotations, "train", options=source.options, filters=source.train
    )
    held = open_part(
        source.set, root, annotations, "eval", options=source.options, filters=source.eval
    )
    if train == held:
        return {WHOLE: train}
    return {"train": train, "eval": held}


def check_set(
    source: ListedSet,
    *,
    full: bool,
    workers: int,
    track: Callable[[Iterator[Finding], int], Iterator[Finding]],
) -> CheckReport:
    """Look at every file of a set.

    Args:
        source: the set. Where it has no split, none is made: leaks are then not looked for.
        full: decode every frame, and not only the beginnings and ends.
        workers: processes.
        track: passes findings on, given how many there will be, and shows the progress.

    Raises:
        InputError: a list that cannot be used.
    """
    listed = list_parts(source)
    report = CheckReport(source.set, full)
    there = {part: _count(part, segments, report) for part, segments in listed.items()}
    videos = list(_videos(there, full))
    findings = map_in_order(look_at, videos, workers, lambda video: str(video.path))
    _sum_up(report, list(track(findings, len(videos))))
    copies = _copies(there)
    report.duplicates = [[str(path) for path in same] for same in copies]
    _compare_parts(report, there, copies)
    return report


def _count(part: str, listed: SegmentList, report: CheckReport) -> SegmentList:
    """Count a part into the report; gives what of it is there."""
    try:
        there, sentences = drop_missing(listed)
    except InputError as error:  # nothing at all: the sentence says so
        there, sentences = SegmentList(listed.groups, ()), (str(error),)
    report.missing += [sentence for sentence in sentences if sentence not in report.missing]
    report.parts[part] = PartReport(
        segments=len(listed.segments),
        videos=len(_sources(listed)),
        missing_segments=len(listed.segments) - len(there.segments),
        classes=_classes(listed),
    )
    return there


def _sources(listed: SegmentList) -> set[str]:
    """The videos of a list; of a prepared set those that its shards were made from."""
    if not isinstance(listed.storage, PreparedShards):
        return {str(segment.path) for segment in listed.segments}
    entries = entries_by_name(listed.storage.index)
    sources = (entries[segment.name].source for segment in listed.segments)
    return {source.path for source in sources if source is not None}


def _classes(listed: SegmentList) -> dict[str, dict[str, int]]:
    counts: list[Counter[int]] = [Counter() for _ in listed.groups]
    for segment in listed.segments:
        if listed.multi_label:
            counts[0].update(segment.targets)
            continue
        for counter, target in zip(counts, segment.targets, strict=True):
            counter[target] += 1
    return {
        group.name: {label: counter[number] for number, label in enumerate(group.labels)}
        for group, counter in zip(listed.groups, counts, strict=True)
    }


def _videos(parts: Mapping[str, SegmentList], full: bool) -> Iterator[Video]:
    """Every file once, with the segments of all parts that lie in it."""
    by_path: dict[Path, list[Segment]] = defaultdict(list)
    storages: dict[Path, Any] = {}
    for listed in parts.values():
        for segment in listed.segments:
            by_path[segment.path].append(segment)
            storages[segment.path] = listed.storage
    for path, segments in by_path.items():
        yield Video(path, tuple(segments), storages[path], full)


def _sum_up(report: CheckReport, findings: list[Finding]) -> None:
    good = [finding for finding in findings if not finding.problem]
    report.unreadable = [finding.problem for finding in findings if finding.problem]
    report.damaged = [f"{finding.path}: {finding.losses}." for finding in good if finding.losses]
    report.beyond = [sentence for finding in good for sentence in finding.beyond]
    shapes = [shape for finding in good for shape in finding.shapes]
    report.sizes = _counted(f"{shape.width}x{shape.height}" for shape in shapes)
    report.rates = _counted(f"{shape.fps:g}" for shape in shapes)
    lengths = sorted(shape.seconds for shape in shapes)
    if lengths:
        report.seconds = {
            "least": round(lengths[0], 2),
            "median": round(lengths[len(lengths) // 2], 2),
            "most": round(lengths[-1], 2),
            "sum": round(sum(lengths), 2),
        }


def _counted(values: Iterator[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _copies(parts: Mapping[str, SegmentList]) -> list[list[Path]]:
    """Groups of files with the same bytes: those of the same size are hashed."""
    by_size: dict[int, set[Path]] = defaultdict(set)
    for listed in parts.values():
        if isinstance(listed.storage, VideoFiles):
            for segment in listed.segments:
                by_size[segment.path.stat().st_size].add(segment.path)
    groups = []
    for paths in by_size.values():
        if len(paths) > 1:
            by_hash: dict[str, list[Path]] = defaultdict(list)
            for path in sorted(paths):
                by_hash[sha256_file(path)].append(path)
            groups += [same for same in by_hash.values() if len(same) > 1]
    return sorted(groups)


def _compare_parts(
    report: CheckReport, parts: Mapping[str, SegmentList], copies: list[list[Path]]
) -> None:
    """Name the footage that both parts show."""
    if set(parts) == {WHOLE} or isinstance(parts["train"].storage, PreparedShards):
        return
    first = {path: same[0] for same in copies for path in same}
    train = _by_content(parts["train"], first)
    for content, held in _by_content(parts["eval"], first).items():
        taught = train.get(content, [])
        pairs = itertools.product(taught, held)
        overlapping = [(a, b) for a, b in pairs if _overlap(a, b)]
        if overlapping:
            a, b = overlapping[0]
            which = f"{a.path}" if a.path == b.path else f"{a.path} (train) and {b.path} (eval)"
            what = "is" if a.path == b.path else "have the same bytes, and are"
            report.leaks.append(f"{which} {what} both trained on and evaluated on.")
        elif taught:
            report.shared.append(str(content))


def _by_content(listed: SegmentList, first: Mapping[Path, Path]) -> dict[Path, list[Segment]]:
    """Segments by their file, or by the first of the files with the same bytes."""
    found: dict[Path, list[Segment]] = defaultdict(list)
    for segment in listed.segments:
        found[first.get(segment.path, segment.path)].append(segment)
    return found


def _overlap(one: Segment, other: Segment) -> bool:
    one_end = float("inf") if one.end_s is None else one.end_s
    other_end = float("inf") if other.end_s is None else other.end_s
    return one.start_s < other_end and other.start_s < one_end
