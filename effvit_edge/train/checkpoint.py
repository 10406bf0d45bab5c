"""Checkpoint folders: a card, the weights, and what a run needs to go on. Never a pickle.

    NAME/card.json             what the network is; holds the weights' sha256
    NAME/model.safetensors     the weights to use (the averaged ones where a run keeps them)
    NAME/training.json         step, counters, recipe; holds the sha256 of the next
    NAME/training.safetensors  optimiser, raw weights

A run's folder holds checkpoints as ``last/`` and, where asked for, ``best/``. Every function here
that reads takes either kind of folder, and prefers ``best/``.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from effvit_edge import nn
from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import EdgeError, InputError
from effvit_edge.core.files import flush_folder, sha256_file

CARD, WEIGHTS = "card.json", "model.safetensors"
TRAINING_FACTS, TRAINING_TENSORS = "training.json", "training.safetensors"

_TENSORS_SHA256 = "tensors_sha256"
_RESTORE = "Restore it or start anew."


@dataclass(frozen=True)
class TrainingState:
    """What a run needs beside the weights to go on exactly."""

    facts: Mapping[str, Any]
    """JSON values."""
    tensors: Mapping[str, Tensor]


def save_model(
    folder: Path,
    model: torch.nn.Module,
    card: ModelCard,
    *,
    weights: Mapping[str, Tensor] | None = None,
    training: TrainingState | None = None,
) -> ModelCard:
    """Write a checkpoint folder, whole or not at all; an older one of that name is replaced.

    Args:
        folder: the checkpoint.
        model: the network; its state is written unless ``weights`` is given.
        card: described network; the weights' sha256 is put into its provenance.
        weights: a state to write instead of the model's own, such as averaged weights.
        training: what is needed to go on.

    Returns:
        The card as written.

    Raises:
        EdgeError: the disk is full or not writable; the older checkpoint is kept.
    """
    try:
        with _replacing(folder) as new:
            _save_tensors(new / WEIGHTS, model.state_dict() if weights is None else weights)
            digest = sha256_file(new / WEIGHTS)
            card = replace(card, provenance={**card.provenance, "weights_sha256": digest})
            (new / CARD).write_text(card.to_json(), encoding="utf-8")
            if training is not None:
                _save_tensors(new / TRAINING_TENSORS, training.tensors)
                facts = {**training.facts, _TENSORS_SHA256: sha256_file(new / TRAINING_TENSORS)}
                text = json.dumps(facts, indent=1, sort_keys=True)
                (new / TRAINING_FACTS).write_text(text + "\n", encoding="utf-8")
    except (OSError, safetensors.SafetensorError) as error:
        raise EdgeError(
            f"Checkpoint {folder} could not be written: {error}. "
            f"Free some space and continue with --resume; an older checkpoint there is kept."
        ) from error
    return card


def load_model(folder: Path) -> tuple[nn.EfficientViT, ModelCard]:
    """Rebuild the network of a checkpoint, in evaluation mode on the CPU.

    Raises:
        InputError: no checkpoint there, a corrupted file, or a card that does not match the
            weights; the message says which and why.
    """
    folder = find_checkpoint(folder)
    card = load_card(folder)
    weights = load_weights(folder, card)
    try:
        model = nn.create_model(card.variant, **dict(card.network))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{folder / CARD} describes a network that cannot be built: {error}"
        ) from error
    difference = describe_difference(model.state_dict(), weights)
    if difference:
        raise InputError(
            f"Checkpoint {folder}: the card describes {card.variant}, but the weights are "
            f"of another network: {difference}."
        )
    model.load_state_dict(weights)
    return model.eval(), card


def find_checkpoint(folder: Path) -> Path:
    """The checkpoint that a path means: itself, or ``best/`` or ``last/`` of a run's folder.

    Raises:
        InputError: there is none.
    """
    for candidate in (folder, _old_name(folder)):
        if (candidate / CARD).is_file():
            return candidate
    if not folder.is_dir():
        raise InputError(f"There is no checkpoint folder {folder}.")
    for name in ("best", "last"):
        for candidate in (folder / name, _old_name(folder / name)):
            if (candidate / CARD).is_file():
                return candidate
    raise InputError(
        f"{folder} is not a checkpoint: it has no {CARD}, best/{CARD} or last/{CARD}. "
        f"Give the folder that `effvit-edge train` wrote."
    )


def holds_checkpoint(folder: Path) -> bool:
    """Whether a checkpoint of that name is there, if only as what a cut replacement left."""
    return any((place / CARD).is_file() for place in (folder, _old_name(folder)))


def load_card(folder: Path) -> ModelCard:
    """Read the card of a checkpoint folder."""
    path = folder / CARD
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Card {path} cannot be read: {error}.") from error
    return ModelCard.from_json(text, source=str(path))


def load_weights(folder: Path, card: ModelCard) -> dict[str, Tensor]:
    """Read the weights of a checkpoint folder and hold them to the card's sha256."""
    expected = card.provenance.get("weights_sha256")
    if not isinstance(expected, str):
        raise InputError(
            f"{folder / CARD} has no provenance.weights_sha256, so the weights cannot be checked. "
            f"Train or save the checkpoint again."
        )
    return _load_tensors(folder / WEIGHTS, expected, "the card")


def load_training(folder: Path, wanted: Sequence[str] = ()) -> TrainingState:
    """Read what a run left behind to go on.

    Args:
        folder: a checkpoint.
        wanted: names of facts that must be there.

    Raises:
        InputError: the checkpoint has none, or it is corrupted.
    """
    facts = load_training_facts(folder, wanted)
    tensors = _load_tensors(folder / TRAINING_TENSORS, facts[_TENSORS_SHA256], TRAINING_FACTS)
    return TrainingState(facts, tensors)


def load_training_facts(folder: Path, wanted: Sequence[str] = ()) -> dict[str, Any]:
    """The JSON values of :func:`load_training` alone.

    Raises:
        InputError: the checkpoint has none, or they are damaged.
    """
    path = folder / TRAINING_FACTS
    if not path.is_file():
        raise InputError(
            f"Checkpoint {folder} has no {TRAINING_FACTS}: it can be used, but not resumed."
        )
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}. {_RESTORE}") from error
    if not isinstance(facts, dict):
        raise InputError(f"{path} is damaged: it holds no JSON object. {_RESTORE}")
    missing = [name for name in (*wanted, _TENSORS_SHA256) if name not in facts]
    if missing:
        raise InputError(f"{path} is damaged: it lacks {', '.join(missing)}. {_RESTORE}")
    return facts


def describe_difference(
    expected: Mapping[str, Tensor], got: Mapping[str, Tensor], limit: int = 3
) -> str:
    """The first tensors in which two states differ by name or shape; empty when none do."""
    lines = []
    for name in [*expected, *(n for n in got if n not in expected)]:
        if name not in got:
            lines.append(f"{name} is missing")
        elif name not in expected:
            lines.append(f"{name} is unknown")
        elif expected[name].shape != got[name].shape:
            shapes = f"{tuple(got[name].shape)} instead of {tuple(expected[name].shape)}"
            lines.append(f"{name} is {shapes}")
    more = f" and {len(lines) - limit} more" if len(lines) > limit else ""
    return "; ".join(lines[:limit]) + more


def _save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors, to be read by whoever may read the files beside them.

    safetensors lets the owner alone read its files; a run of a container's root is read by others.
    """
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    path.touch()
    usual = path.stat().st_mode & 0o777
    safetensors.torch.save_file(plain, path)
    path.chmod(usual)


def _load_tensors(path: Path, expected_sha256: str, witness: str) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(f"{path} is missing; the checkpoint is not complete.")
    got = sha256_file(path)
    if got != expected_sha256:
        raise InputError(
            f"{path} does not match {witness}: its sha256 starts with {got[:12]}, expected "
            f"{str(expected_sha256)[:12]}. The file is corrupted or belongs to another checkpoint."
        )
    try:
        return safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise InputError(f"{path} is not a safetensors file: {error}.") from error


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Fill a new folder beside ``folder``, then put it in its place.

    At every moment either ``folder`` or ``.NAME.old`` beside it is whole. Readers take the latter
    where the former is missing; the next writer tidies up.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _recover(folder)
    for stale in folder.parent.glob(f".{folder.name}.new-*"):
        shutil.rmtree(stale)
    new = folder.parent / f".{folder.name}.new-{uuid.uuid4().hex[:8]}"
    new.mkdir()
    try:
        yield new
        flush_folder(new)
        old = _old_name(folder)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _recover(folder: Path) -> None:
    """Undo a replacement that was cut between its two renames; finish one cut after them."""
    old = _old_name(folder)
    if not old.is_dir():
        return
    if folder.exists():
        shutil.rmtree(old)
    else:
        old.rename(folder)


def _old_name(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.old"
