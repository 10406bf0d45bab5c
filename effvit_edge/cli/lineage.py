"""The files that an artifact was made from, found by their hashes among those beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import InputError
from effvit_edge.core.files import sha256_file
from effvit_edge.core.onnx_header import read_onnx_header
from effvit_edge.runtime.graph import CARD_KEY

CARD_FILE, WEIGHTS_FILE = "card.json", "model.safetensors"


@dataclass(frozen=True)
class Ancestor:
    """What an artifact was made from."""

    sha256: str
    path: str | None
    """None where no file beside the artifact has that hash."""


def find_ancestors(artifact: Path, card: ModelCard) -> list[Ancestor]:
    """Parent, grandparent and so on, up to the first that is not found.

    Looked at are ONNX files beside the artifact, and checkpoints there and up to two folders down.

    Args:
        artifact: a file.
        card: its.
    """
    hashes: dict[Path, str] = {}
    found: list[Ancestor] = []
    wanted = card.parent_sha256
    while wanted is not None and wanted not in {ancestor.sha256 for ancestor in found}:
        path = _find(artifact.parent, wanted, hashes)
        found.append(Ancestor(wanted, None if path is None else str(path)))
        parent = None if path is None else _card_of(path)
        wanted = None if parent is None else parent.parent_sha256
    return found


def _find(folder: Path, sha256: str, hashes: dict[Path, str]) -> Path | None:
    for path in _candidates(folder):
        if path not in hashes:
            hashes[path] = sha256_file(path)
        if hashes[path] == sha256:
            return path
    return None


def _candidates(folder: Path) -> Iterator[Path]:
    for pattern in ("*.onnx", WEIGHTS_FILE, f"*/{WEIGHTS_FILE}", f"*/*/{WEIGHTS_FILE}"):
        yield from (path for path in sorted(folder.glob(pattern)) if path.is_file())


def _card_of(path: Path) -> ModelCard | None:
    """A found file's own card; None where it has none, which ends the chain."""
    try:
        if path.name == WEIGHTS_FILE:
            text = path.with_name(CARD_FILE).read_text(encoding="utf-8")
        else:
            text = read_onnx_header(path).metadata[CARD_KEY]
        return ModelCard.from_json(text, source=str(path))
    except (InputError, OSError, KeyError, UnicodeDecodeError):
        return None
