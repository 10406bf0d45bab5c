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
    load_card,
    load_training,
    load_training_facts,
    load_weights,
)
from effvit_edge.train.evaluate import EVALUATION
from effvit_edge.train.journal import read_journal
from effvit_edge.train.recipe import Recipe, parse_recipe

_FACTS = ("step", "skipped", "skipped_in_a_row", "best", "ema_updates", "recipe")


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


def open_run(
    folder: Path, recipe: Recipe, resume: bool
) -> tuple[TrainingState, dict[str, Tensor]] | None:
    """What to resume from, or None; never overwrites another run without being told.

    Raises:
        InputError: the folder holds another run, or there is nothing to resume.
    """
    last = folder / "last"
    if not resume:
        if last.exists():
            raise InputError(
                f"{folder} already holds a run. Continue it with --resume, or give another "
                f"--output."
            )
        return None
    checkpoint = find_checkpoint(last)
    state = load_training(checkpoint, _FACTS)
    _check_recipe(folder, state.facts, recipe)
    return state, load_weights(checkpoint, load_card(checkpoint))


def find_finished(folder: Path, recipe: Recipe) -> FinishedRun | None:
    """The run of a folder where it is finished and its evaluation is there; else None.

    Raises:
        InputError: there is no run, a damaged one, or one of another recipe.
    """
    checkpoint = find_checkpoint(folder / "last")
    facts = load_training_facts(checkpoint, _FACTS)
    _check_recipe(folder, facts, recipe)
    total_steps = facts.get("total_steps", recipe.optim.steps)
    if not total_steps or facts["step"] < total_steps:
        return None
    figures = load_card(checkpoint).provenance.get("metrics")
    if not isinstance(figures, Mapping) or not _is_evaluation(folder / EVALUATION, figures):
        return None
    records = read_journal(folder / "metrics.jsonl")
    failures = tuple(text for record in records for text in record.get("failures", ()))
    return FinishedRun(folder, facts["step"], facts["skipped"], figures, failures)


def saved_step(folder: Path) -> int | None:
    """The step of the checkpoint that a run's folder holds; None without a whole one."""
    try:
        step: int = load_training_facts(find_checkpoint(folder / "last"), _FACTS)["step"]
    except InputError:
        return None
    return step


def _is_evaluation(path: Path, figures: Mapping[str, Any]) -> bool:
    """Whether a file holds the evaluation with these figures, and not an older or another one."""
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(figures) and isinstance(written, dict) and figures.items() <= written.items()


def _check_recipe(folder: Path, facts: Mapping[str, Any], recipe: Recipe) -> None:
    before, now = parse_recipe(facts["recipe"]).deciding(), recipe.deciding()
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
            f"Resume with the recipe in {folder / 'recipe.yaml'}, or give another --output."
        )
