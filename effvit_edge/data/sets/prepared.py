"""A set that ``effvit-edge prepare`` made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from effvit_edge.core.errors import InputError
from effvit_edge.core.files import sha256_file
from effvit_edge.data.clip_spec import ClipSpec
from effvit_edge.data.prepare.index import entries_by_name, index_path
from effvit_edge.data.prepare.manifest import Manifest, load_manifest
from effvit_edge.data.segments import PreparedShards, Segment, SegmentList
from effvit_edge.data.sets.base import SetCard, Source


@dataclass(frozen=True)
class PreparedOptions:
    """``data.set: prepared`` has no options: the folder says everything."""


def parse(source: Source, options: PreparedOptions) -> SegmentList:
    """The segments of a part that could be prepared.

    Raises:
        InputError: the folder is not prepared, not finished or damaged, or annotations are given.
    """
    if source.annotations != source.root:
        raise InputError(
            f"data.set 'prepared' has its labels in its own folder, and takes no data.annotations "
            f"({source.annotations}); add --set data.annotations=null."
        )
    manifest = load_finished(source.root)
    index = index_path(source.root, source.part)
    totals = manifest.train if source.part == "train" else manifest.eval
    if totals is None or not index.is_file() or sha256_file(index) != totals.index_sha256:
        raise InputError(
            f"{index} is not the index that {source.root} was finished with. Give the prepare "
            f"command again, or copy the folder again."
        )
    segments = tuple(
        Segment(entry.name, source.root / entry.shard, entry.targets, entry.start_s, entry.end_s)
        for entry in entries_by_name(index).values()
        if entry.failure is None
    )
    return SegmentList(
        manifest.groups, segments, PreparedShards(index), directional=manifest.directional
    )


def load_finished(folder: Path) -> Manifest:
    """The manifest of a set that was prepared to its end.

    Raises:
        InputError: there is none, it is damaged, or preparing was stopped.
    """
    manifest = load_manifest(folder)
    if not manifest.complete:
        raise InputError(
            f"{folder} is not prepared to its end. Give the same effvit-edge prepare command "
            f"again, which goes on where it stopped."
        )
    return manifest


def check_form(folder: Path, spec: ClipSpec, taker: Literal["recipe", "model"] = "recipe") -> None:
    """Refuse a prepared set that holds less than is taken of it.

    Args:
        folder: the set.
        spec: what is taken of it.
        taker: whose that is, for the message.

    Raises:
        InputError: naming what was kept, what is needed, and what to do.
    """
    form, size = load_finished(folder).form, spec.preprocess
    for what, kept, needed in (
        ("a short side (pixels) of", form.short_side, max(size.height, size.width)),
        ("a rate (frames a second) of", form.max_fps or spec.fps, spec.fps),
        ("a lead (seconds) of", form.lead_s, spec.lead_s),
    ):
        if kept < needed:
            raise InputError(
                f"{folder} was prepared with {what} {kept:g}, and the {taker} needs {needed:g}. "
                f"Prepare the set again for this {taker}, into another folder."
            )


CARD = SetCard(
    name="prepared",
    summary="a folder made by effvit-edge prepare",
    options=PreparedOptions,
    parse=parse,
)
