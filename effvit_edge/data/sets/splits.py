"""Opening a set: one part of it, or training and evaluation together."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from effvit_edge.core import schema
from effvit_edge.core.errors import InputError
from effvit_edge.data.segments import Segment, SegmentList
from effvit_edge.data.sets.base import Part, SetCard, Source
from effvit_edge.data.sets.registry import find_set


def open_part(
    name: str,
    root: Path,
    annotations: Path | None,
    part: Part,
    *,
    options: Mapping[str, Any],
    filters: Sequence[str] = (),
) -> SegmentList:
    """The segments of one part of a set, whether their footage is there or not.

    Args:
        name: one of :func:`list_sets`.
        root: the folder of the videos.
        annotations: the list or the folder of the lists, relative to ``root`` unless absolute;
            None stands for ``root``.
        part: which part; a set without a split gives everything for either.
        options: keywords of the set, as docs/datasets.md names them.
        filters: ``column=value`` or ``column!=value``, all of which a CSV's row must pass.

    Raises:
        InputError: an unknown set or option, no such folder, or a list that cannot be used.
    """
    card, source, chosen = _prepare(name, root, annotations, options)
    return _parse(card, _part(source, part, filters), chosen)


def open_split(
    name: str,
    root: Path,
    annotations: Path | None,
    *,
    options: Mapping[str, Any],
    train_filters: Sequence[str],
    eval_filters: Sequence[str],
    eval_share: float,
    seed: int,
) -> tuple[SegmentList, SegmentList]:
    """Training and evaluation segments of a set.

    They are the published split where there is one; else the rows of a CSV that pass the filters;
    else ``eval_share`` of each class is held out, chosen by ``seed``.

    Raises:
        InputError: one filter without the other, footage in both parts, or see :func:`open_part`.
    """
    card, source, chosen = _prepare(name, root, annotations, options)
    if bool(train_filters) != bool(eval_filters):
        raise InputError("Give both data.train and data.eval, or neither.")
    if not train_filters and not card.has_split(source, chosen):
        return hold_out(_parse(card, source, chosen), eval_share, seed)
    train = _parse(card, _part(source, "train", train_filters), chosen)
    held = _parse(card, _part(source, "eval", eval_filters), chosen)
    _refuse_leak(train, held, source.annotations)
    return train, held


def hold_out(segments: SegmentList, share: float, seed: int) -> tuple[SegmentList, SegmentList]:
    """Split each class by itself: ``share`` of its videos, at least one, are for evaluation.

    All segments of a video stay together, and go by the class of its first. Multi-label videos
    have no class of their own and are split as one.

    Raises:
        InputError: a class has a single video.
    """
    by_path: dict[Path, list[Segment]] = defaultdict(list)
    for segment in segments.segments:
        by_path[segment.path].append(segment)
    by_class: dict[tuple[int, ...], list[Path]] = defaultdict(list)
    for path, members in by_path.items():
        by_class[() if segments.multi_label else members[0].targets].append(path)
    rng = np.random.default_rng(seed)
    held: set[Path] = set()
    for targets, paths in sorted(by_class.items()):
        if len(paths) < 2:
            what = f"Class '{segments.groups[0].labels[targets[0]]}'" if targets else "The list"
            raise InputError(
                f"{what} has one video; two are needed, one to train on and one to evaluate on."
            )
        count = min(len(paths) - 1, max(1, round(share * len(paths))))
        held |= {paths[i] for i in rng.permutation(len(paths))[:count]}
    parts = ([s for s in segments.segments if (s.path in held) == want] for want in (False, True))
    train, evaluation = (dataclasses.replace(segments, segments=tuple(part)) for part in parts)
    return train, evaluation


def _prepare(
    name: str, root: Path, annotations: Path | None, options: Mapping[str, Any]
) -> tuple[SetCard[Any], Source, Any]:
    card = find_set(name)
    chosen = schema.read(card.options, options, "data.options")
    if not root.is_dir():
        raise InputError(f"There is no folder {root}; data.root must be the folder of the videos.")
    lists = root if annotations is None else root / annotations
    if not lists.exists():
        files = f", which holds {', '.join(card.lists)}" if card.lists else ""
        home = f"; the lists are had from {card.home}" if card.home else ""
        raise InputError(
            f"There is no {lists}; data.annotations must name the set's list or folder of lists"
            f"{files}{home}."
        )
    return card, Source(root, lists), chosen


def _part(source: Source, part: Part, filters: Sequence[str]) -> Source:
    return dataclasses.replace(source, part=part, filters=tuple(filters))


def _parse(card: SetCard[Any], source: Source, options: Any) -> SegmentList:
    if source.filters and not card.filters:
        raise InputError(
            f"data.train and data.eval filter the rows of a CSV (data.set: csv); the set "
            f"'{card.name}' takes none."
        )
    return card.parse(source, options)


def _refuse_leak(train: SegmentList, held: SegmentList, lists: Path) -> None:
    """Refuse footage that is in both parts."""
    stretches: dict[Path, list[tuple[float, float]]] = defaultdict(list)
    for segment in train.segments:
        stretches[segment.path].append(_stretch(segment))
    shared = sorted(
        {
            segment.path
            for segment in held.segments
            for start, end in stretches.get(segment.path, ())
            if start < _stretch(segment)[1] and _stretch(segment)[0] < end
        }
    )
    if shared:
        raise InputError(
            f"{lists}: {len(shared)} videos, such as {shared[0]}, are both trained on and "
            f"evaluated on; take them out of one part."
        )


def _stretch(segment: Segment) -> tuple[float, float]:
    return segment.start_s, float("inf") if segment.end_s is None else segment.end_s
