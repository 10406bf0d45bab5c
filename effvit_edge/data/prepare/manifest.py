"""``prepared.json``: what a folder of prepared clips holds, and what it was made from and how."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from effvit_edge.core import schema
from effvit_edge.core.card import LabelGroup
from effvit_edge.core.errors import InputError
from effvit_edge.core.files import atomic_path, sha256_file
from effvit_edge.core.strict_json import parse_object
from effvit_edge.data.prepare.layout import MANIFEST, SCHEMA_VERSION, Entry, Form


@dataclass(frozen=True)
class ListedSet:
    """A dataset as a recipe's ``data`` section names it."""

    set: str
    root: str
    annotations: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    train: tuple[str, ...] = ()
    eval: tuple[str, ...] = ()
    eval_share: float = 0.2
    seed: int = 0


@dataclass(frozen=True)
class Failure:
    """A segment that could not be prepared."""

    part: str
    name: str
    sentence: str


@dataclass(frozen=True)
class Totals:
    """What became of one part."""

    segments: int
    failed: int
    damaged: int
    """Segments prepared without some of their source's frames."""
    frames: int
    seconds: float
    bytes: int
    shards: int
    index_sha256: str


@dataclass(frozen=True)
class Manifest:
    """The contents of ``prepared.json``."""

    package_version: str
    source: ListedSet
    form: Form
    shard_bytes: int
    list_sha256: str
    """Of the segments of both parts, their targets and times."""
    groups: tuple[LabelGroup, ...]
    directional: bool
    schema_version: int = SCHEMA_VERSION
    complete: bool = False
    train: Totals | None = None
    """None, as are the others, until the set is complete."""
    eval: Totals | None = None
    failures: tuple[Failure, ...] = ()

    def save(self, folder: Path) -> None:
        """Write it into a folder, whole or not at all."""
        with atomic_path(folder / MANIFEST) as partial:
            text = json.dumps(schema.plain(self), indent=1)
            partial.write_text(text + "\n", encoding="utf-8")


def load_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder.

    Raises:
        InputError: there is none, or it is damaged or of another version.
    """
    path = folder / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(
            f"{folder} is no set made by effvit-edge prepare: it has no {MANIFEST}."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    try:
        tree = parse_object(text)
        if tree.get("schema_version") != SCHEMA_VERSION:
            raise InputError(
                f"its schema_version is {tree.get('schema_version')}, and this version of "
                f"effvit-edge reads {SCHEMA_VERSION}"
            )
        return schema.read(Manifest, tree, "")
    except InputError as error:
        raise InputError(f"{path} cannot be used: {str(error).rstrip('.')}.") from error


def sum_up(entries: Iterable[Entry], index: Path) -> Totals:
    """The totals of a finished part."""
    listed = list(entries)
    return Totals(
        segments=sum(entry.failure is None for entry in listed),
        failed=sum(entry.failure is not None for entry in listed),
        damaged=sum(bool(entry.losses) for entry in listed),
        frames=sum(entry.frames for entry in listed),
        seconds=round(sum(entry.duration_s + entry.lead_s for entry in listed), 3),
        bytes=sum(entry.bytes for entry in listed),
        shards=len({entry.shard for entry in listed if entry.shard}),
        index_sha256=sha256_file(index),
    )
