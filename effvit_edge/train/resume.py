"""What a run's folder already holds: nothing, a run to go on with, or a finished one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from effvit_edge.core.errors import InputError
from effvit_edge.train.checkpoint import (
    TrainingState,
    find_checkpoint,
    holds_checkpoint,
    load_card,
    load_training,
    load_training_facts,
    load_weights,
)
from effvit_edge.train.evaluate import EVALUATION
from effvit_edge.train.journal import read_journal
from effvit_edge.train.recipe import Recipe, load_recipe, parse_recipe
from effvit_edge.train.state import FACTS, Counters

RECIPE = "recipe.yaml"
"""In a run's folder: the whole recipe, from its beginning on."""


@dataclass(frozen=True)
class FinishedRun:
    """A run that has done all its steps."""

    folder: Path
    steps: int
    skipped_steps: int
    figures: Mapping[str, Any]
    """Summary of the evaluation at its end."""
    failures: tuple[str, ...]
    """A sentence for each video that was left out."""


@dataclass(frozen=True)
class SavedRun:
    """A run to go on with."""

    state: TrainingState
    weights: dict[str, Tensor]
    start: Mapping[str, Any] | None
    """What it took from ``model.init`` when it began."""

    def differences(self, recipe: Recipe, world: int, total_steps: int) -> list[str]:
        """Sentences on what makes the rest of the run differ from an uninterrupted one."""
        facts = self.state.facts
        sentences = []
        if facts["total_steps"] != total_steps:
            sentences.append(
                f"The run has {total_steps} steps now instead of {facts['total_steps']}: there is "
                f"more or less data than when it began, so its clips come in another order."
            )
        if facts["world"] != world:
            sentences.append(
                f"Going on with {world} processes instead of {facts['world']}: batches and clips "
                f"stay the same, dropout and mixing draw other numbers."
            )
        before = facts["recipe"]["speed"]["precision"]
        if before != recipe.speed.precision:
            sentences.append(f"Going on in {recipe.speed.precision} instead of {before}.")
        return sentences


def open_run(folder: Path, recipe: Recipe, resume: bool) -> SavedRun | None:
    """What to resume from, or None to begin; never overwrites another run without being told.

    A run that was killed before its first checkpoint is begun again.

    Raises:
        InputError: the folder holds another run, or there is nothing to resume.
    """
    last = folder / "last"
    if not resume:
        if last.exists() or holds_checkpoint(last):
            raise InputError(
                f"{folder} already holds a run. Continue it with --resume, or give another "
                f"--output."
            )
        return None
    if not holds_checkpoint(last) and (folder / RECIPE).is_file():
        _check_recipe(folder, load_recipe(folder / RECIPE), recipe)
        return None
    if not holds_checkpoint(last):
        raise InputError(
            f"There is no run to resume in {folder}. Leave --resume out to begin one, or give the "
            f"--output of the run that is meant."
        )
    checkpoint = find_checkpoint(last)
    state = load_training(checkpoint, FACTS)
    _check_recipe(folder, parse_recipe(state.facts["recipe"]), recipe)
    card = load_card(checkpoint)
    start = card.provenance.get("start")
    return SavedRun(
        state, load_weights(checkpoint, card), start if isinstance(start, Mapping) else None
    )


def find_finished(folder: Path, recipe: Recipe) -> FinishedRun | None:
    """The run of a folder where it is finished and its evaluation is there; else None.

    Raises:
        InputError: a damaged run, or one of another recipe.
    """
    if not holds_checkpoint(folder / "last"):
        return None
    checkpoint = find_checkpoint(folder / "last")
    facts = load_training_facts(checkpoint, FACTS)
    _check_recipe(folder, parse_recipe(facts["recipe"]), recipe)
    counters = Counters(**facts["counters"])
    if counters.step < facts["total_steps"]:
        return None
    figures = load_card(checkpoint).provenance.get("metrics")
    if not isinstance(figures, Mapping) or not _is_evaluation(folder / EVALUATION, figures):
        return None
    records = read_journal(folder / "metrics.jsonl")
    failures = dict.fromkeys(text for record in records for text in record.get("failures", ()))
    return FinishedRun(folder, counters.step, counters.skipped, figures, tuple(failures))


def saved_step(folder: Path) -> int | None:
    """The step of the checkpoint that a run's folder holds; None without a whole one."""
    try:
        facts = load_training_facts(find_checkpoint(folder / "last"), FACTS)
    except InputError:
        return None
    return Counters(**facts["counters"]).step


def _is_evaluation(path: Path, figures: Mapping[str, Any]) -> bool:
    """Whether a file holds the evaluation with these figures, and not an older or another one."""
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(figures) and isinstance(written, dict) and figures.items() <= written.items()


def _check_recipe(folder: Path, earlier: Recipe, recipe: Recipe) -> None:
    # Without places: the same data may be mounted elsewhere, and what a run started from is in it.
    before, now = earlier.portable(), recipe.portable()
    changed = [
        f"{section}.{key}" if isinstance(now[section], dict) else section
        for section in now
        for key in (now[section] if isinstance(now[section], dict) else [""])
        if (before[section].get(key) if key else before[section])
        != (now[section][key] if key else now[section])
    ]
    if changed:
        raise InputError(
            f"{folder} was trained by another recipe: {', '.join(changed)} "
            f"{'differs' if len(changed) == 1 else 'differ'}. "
            f"Resume with the recipe in {folder / RECIPE}, or give another --output."
        )
