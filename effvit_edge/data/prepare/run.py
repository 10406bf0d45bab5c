"""Preparing a whole set: both parts, every segment once, from wherever an earlier run stopped."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from effvit_edge import __version__
from effvit_edge.core import schema
from effvit_edge.core.errors import EdgeError, InputError
from effvit_edge.data.prepare.encode import Job, prepare_segment, source_file
from effvit_edge.data.prepare.index import index_path
from effvit_edge.data.prepare.layout import MANIFEST, Entry, Form
from effvit_edge.data.prepare.manifest import (
    Failure,
    ListedSet,
    Manifest,
    Totals,
    load_manifest,
    sum_up,
)
from effvit_edge.data.prepare.workers import map_in_order
from effvit_edge.data.prepare.writer import PartWriter
from effvit_edge.data.segments import PreparedShards, Segment, SegmentList
from effvit_edge.data.sets import drop_missing, open_split

SHARD_BYTES = 256 << 20
PARTS = ("train", "eval")


class Watcher(Protocol):
    """Is told how far preparing is."""

    def begin(self, total: int, done: int) -> None:
        """The segments of both parts, and how many an earlier run did."""
        ...

    def prepared(self, entry: Entry) -> None:
        """One more segment is done, or has failed."""
        ...


def prepare_set(
    source: ListedSet,
    form: Form,
    folder: Path,
    *,
    workers: int,
    max_failed_share: float,
    watcher: Watcher,
    shard_bytes: int = SHARD_BYTES,
) -> Manifest:
    """Prepare a set into a folder, or go on where an earlier run with the same arguments stopped.

    Args:
        source: the set.
        form: what is kept of each segment.
        folder: receives the shards; made when missing.
        workers: processes.
        max_failed_share: more missing footage than this share is refused before the work.
        watcher: is told of the progress.
        shard_bytes: size that a shard stays below.

    Returns:
        The manifest, as it was written.

    Raises:
        InputError: a list that cannot be used, too much missing, or a folder with other contents.
        EdgeError: the disk is full, or a process died.
    """
    parts = list_parts(source)
    plan = Manifest(
        package_version=__version__,
        source=source,
        form=form,
        shard_bytes=shard_bytes,
        list_sha256=_digest(parts),
        groups=parts["train"].groups,
        directional=parts["train"].directional,
    )
    _refuse_missing(parts, max_failed_share)
    with _alone(folder):
        _settle(folder, plan)
        writers = {part: PartWriter(folder, part, shard_bytes) for part in PARTS}
        try:
            _refuse_changed(folder, parts, writers)
            _write_parts(folder, plan, parts, writers, workers, watcher)
        finally:
            for writer in writers.values():
                writer.close()
        return _conclude(folder, plan, writers)


def list_parts(source: ListedSet) -> dict[str, SegmentList]:
    """The segments of both parts, whether their footage is there or not.

    Raises:
        InputError: see :func:`effvit_edge.data.sets.open_split`; or the set is prepared already.
    """
    train, held = open_split(
        source.set,
        Path(source.root),
        Path(source.annotations) if source.annotations is not None else None,
        options=source.options,
        train_filters=source.train,
        eval_filters=source.eval,
        eval_share=source.eval_share,
        seed=source.seed,
    )
    if isinstance(train.storage, PreparedShards):
        raise InputError(f"{source.root} is prepared already; train on it as it is.")
    return {"train": train, "eval": held}


def _write_parts(
    folder: Path,
    plan: Manifest,
    parts: Mapping[str, SegmentList],
    writers: Mapping[str, PartWriter],
    workers: int,
    watcher: Watcher,
) -> None:
    done = sum(len(writer.entries) for writer in writers.values())
    watcher.begin(sum(len(part.segments) for part in parts.values()), done)
    if all(writer.finished for writer in writers.values()):
        return
    plan.save(folder)
    # One stream of work for both parts, so that no worker waits at the seam.
    jobs = (
        (part, job)
        for part in PARTS
        for job in _jobs(parts[part], plan.form, len(writers[part].entries))
    )
    order: list[str] = []

    def told() -> Iterator[Job]:
        for part, job in jobs:
            order.append(part)
            yield job

    results = map_in_order(prepare_segment, told(), workers, lambda job: job.segment.name)
    for number, prepared in enumerate(results):
        writers[order[number]].add(prepared)
        watcher.prepared(prepared.entry)
    for writer in writers.values():
        if not writer.finished:
            writer.finish()


def _jobs(part: SegmentList, form: Form, done: int) -> Iterator[Job]:
    for number, segment in enumerate(part.segments[done:], start=done):
        yield Job(number, segment, part.storage, form)


def _conclude(folder: Path, plan: Manifest, writers: Mapping[str, PartWriter]) -> Manifest:
    totals: dict[str, Totals] = {}
    failures = []
    for part, writer in writers.items():
        totals[part] = sum_up(writer.entries, index_path(folder, part))
        failures += [
            Failure(part, entry.name, entry.failure)
            for entry in writer.entries
            if entry.failure is not None
        ]
    result = dataclasses.replace(
        plan,
        complete=True,
        train=totals["train"],
        eval=totals["eval"],
        failures=tuple(failures),
    )
    result.save(folder)
    return result


def _digest(parts: Mapping[str, SegmentList]) -> str:
    """Of what is to be prepared, in order."""
    digest = hashlib.sha256()
    for part, listed in parts.items():
        for segment in listed.segments:
            fields = (part, segment.name, segment.targets, segment.start_s, segment.end_s)
            digest.update(json.dumps(fields).encode())
    return digest.hexdigest()


def _refuse_missing(parts: Mapping[str, SegmentList], max_share: float) -> None:
    for part, listed in parts.items():
        there, sentences = drop_missing(listed)
        missing = len(listed.segments) - len(there.segments)
        if missing > max_share * len(listed.segments):
            raise InputError(
                f"The footage of {missing} of {len(listed.segments)} segments ({part}) is missing, "
                f"more than data.max_failed_share = {max_share:g} allows. {sentences[0]} "
                f"effvit-edge prepare --check lists them all."
            )


def _settle(folder: Path, plan: Manifest) -> None:
    """Take a folder into use, or refuse one that holds anything else."""
    if not (folder / MANIFEST).is_file():
        if any(folder.iterdir()):
            raise InputError(
                f"{folder} holds other files; give an empty or a new folder for --output."
            )
        plan.save(folder)
        return
    found = load_manifest(folder)
    for what, there, here in _differences(found, plan):
        raise InputError(
            f"{folder} was prepared with {what} {there}, and this is {here}. Give another "
            f"--output, or remove that folder."
        )
    if found.list_sha256 != plan.list_sha256 or found.groups != plan.groups:
        raise InputError(
            f"The list of segments is another than {folder} was prepared from. Give another "
            f"--output, or remove that folder."
        )


def _differences(found: Manifest, plan: Manifest) -> Iterator[tuple[str, object, object]]:
    for kind in ("form", "source"):
        there, here = schema.plain(getattr(found, kind)), schema.plain(getattr(plan, kind))
        for name, value in there.items():
            # A disk may be mounted elsewhere by now; the list and the files are compared.
            if value != here[name] and name != "root":
                yield name, value, here[name]
    if found.shard_bytes != plan.shard_bytes:
        yield "shard_bytes", found.shard_bytes, plan.shard_bytes


def _refuse_changed(
    folder: Path, parts: Mapping[str, SegmentList], writers: Mapping[str, PartWriter]
) -> None:
    """Refuse to mix segments of files as they were with segments of files as they are."""
    for part, writer in writers.items():
        pairs = zip(writer.entries, parts[part].segments, strict=False)
        changed = [segment for entry, segment in pairs if _has_changed(entry, segment)]
        if changed:
            raise InputError(
                f"{changed[0].path} has changed since it was prepared"
                + (f", and so have {len(changed) - 1} others" if len(changed) > 1 else "")
                + f". Remove {folder} or give another --output, and prepare the set again."
            )


def _has_changed(entry: Entry, segment: Segment) -> bool:
    """Whether a file is there now and was another, or not there, when it was prepared."""
    now, then = source_file(segment), entry.source
    if now is None or then is None:
        return now is not None
    return (now.bytes, now.mtime_ns) != (then.bytes, then.mtime_ns)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second run away from the folder; the system lets go of it however this one ends."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; give a folder for --output.")
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EdgeError(f"Another process is preparing {folder} right now.") from error
        yield
    finally:
        os.close(descriptor)
