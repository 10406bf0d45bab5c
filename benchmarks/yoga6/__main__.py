"""``python -m benchmarks.yoga6``: all folds and seeds of each recipe, and their means."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks import training
from benchmarks.training import Outcome

FOLDS = (0, 1, 2, 3)
FLOORS = {"majority": 0.25, "first frame": 0.59, "8 differences": 0.61, "8 frames": 0.82}
"""Logistic regression on 24×32 grey pixels, mean of the same folds."""
RECIPES = {
    "causal": Path("models/yoga6.yaml"),
    "causal, motion first": Path("models/yoga6_motion.yaml"),
    "per frame": Path("models/yoga6_2d.yaml"),
}
RESULTS = Path("benchmarks/results/yoga6")
SHORT = ("optim.steps=300", "optim.batch_size=16", "optim.warmup_steps=30")
MOTION = ("model.init=runs/demo", "model.options.temporal_kernels=[3,3,3,3,3]")
LARGE_CROPS = "augment.scale=[0.75,1.0]"
CANDIDATES = {
    "scratch": (),
    "motion first, crops from 0.75": (*MOTION, LARGE_CROPS),
    "scratch, short": SHORT,
    "scratch, short, 1 fps": (*SHORT, "input.fps=1"),
    "scratch, short, crops from 0.75": (*SHORT, LARGE_CROPS),
    "motion first, short": (*SHORT, *MOTION),
    "motion first, short, crops from 0.75": (*SHORT, *MOTION, LARGE_CROPS),
}
"""What is compared on inner folds: the causal recipe with these keys changed."""


def fold_overrides(root: Path, fold: int, seed: int) -> list[str]:
    """Train on three folds of people, test on the fourth."""
    return [
        f"data.root={json.dumps(str(root))}",
        f"data.train=[fold!={fold}]",
        f"data.eval=[fold={fold}]",
        f"seed={seed}",
    ]


def inner_overrides(root: Path, fold: int) -> list[str]:
    """For choices: without the people of ``fold``, train on two folds and validate on the next."""
    validation = (fold + 1) % len(FOLDS)
    return [
        f"data.root={json.dumps(str(root))}",
        f"data.train=[fold!={fold}, fold!={validation}]",
        f"data.eval=[fold={validation}]",
    ]


def recurring_errors(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Each video that was answered wrong, with the answers, the most often wrong first.

    A video is in the test part of one run a seed.
    """
    answers: dict[str, list[str]] = {}
    for outcome in outcomes:
        for error in outcome.figures["errors"]:
            answers.setdefault(error["name"], []).append(error["answer"])
    ordered = sorted(answers.items(), key=lambda item: (-len(item[1]), item[0]))
    return [{"video": name, "answers": dict(Counter(wrong))} for name, wrong in ordered]


def finished_runs(
    recipe: Path, root: Path, runs: Path, seeds: int, *, train: bool
) -> dict[tuple[int, int], Outcome]:
    """The outcome of every fold and seed; runs that have not ended are trained first.

    Args:
        recipe: the file.
        root: the videos' folder.
        runs: folder of the recipe's runs.
        seeds: how many.
        train: otherwise what has not ended is left out.
    """
    outcomes = {}
    for seed in range(seeds):
        for fold in FOLDS:
            folder = runs / f"fold{fold}-seed{seed}"
            if not (train or training.has_ended(recipe, folder)):
                continue
            overrides = fold_overrides(root, fold, seed)
            outcomes[fold, seed] = training.outcome_of(recipe, overrides, folder, root)
            top1 = outcomes[fold, seed].figures["top1"]
            click.echo(f"{recipe.stem}, fold {fold}, seed {seed}: {top1:.3f}")
    return outcomes


def report(
    models: Mapping[str, Mapping[tuple[int, int], Outcome]], command: str, inner: Path
) -> dict[str, Any]:
    """Everything to keep: figures, floors, errors, and how the recipe was chosen."""
    result = training.header(command, {name: RECIPES[name] for name in models})
    result["floors"] = FLOORS
    for name, runs in models.items():
        outcomes = list(runs.values())
        result[name] = training.summary(outcomes) | {
            "labels": outcomes[0].figures["labels"],
            "runs": [
                {"fold": fold, "seed": seed, "top1": run.figures["top1"]}
                | {"frame_top1": run.figures["frame_top1"], "curve": run.top1}
                for (fold, seed), run in runs.items()
            ],
            "errors": recurring_errors(outcomes),
        }
    if inner.exists():
        result["inner"] = json.loads(inner.read_text("utf-8"))
    return result


@click.command()
@click.option(
    "--data",
    envvar="EFFVIT_TEST_DATA",
    required=True,
    type=click.Path(path_type=Path, exists=True),
    help="The folder that holds yoga6/.",
)
@click.option("--runs", default="runs/yoga6", type=click.Path(path_type=Path))
@click.option("--seeds", default=2, help="Seeds 0 to N - 1.")
@click.option("--output", default=RESULTS, type=click.Path(path_type=Path))
@click.option("--compare", is_flag=True, help="Compare the candidates on inner folds instead.")
@click.option("--finished", is_flag=True, help="Report the runs that have ended; train nothing.")
def main(data: Path, runs: Path, seeds: int, output: Path, compare: bool, finished: bool) -> None:
    """Train every fold with every seed and write the means beside the floors."""
    root = data / "yoga6"
    if compare:
        splits = {f"test fold {fold}": inner_overrides(root, fold) for fold in FOLDS}
        recipe = RECIPES["causal"]
        table = training.compare(recipe, CANDIDATES, splits, runs / "inner", root)
        training.write_json(table, output / "inner.json")
        return
    models = {}
    for name, recipe in RECIPES.items():
        found = finished_runs(recipe, root, runs / recipe.stem, seeds, train=not finished)
        if found:
            models[name] = found
    command = f"python -m benchmarks.yoga6 --seeds {seeds}"
    result = report(models, command, output / "inner.json")
    outcomes = {name: list(runs.values()) for name, runs in models.items()}
    stem = f"{result['date']}-b0"
    training.write_json(result, output / f"{stem}.json")
    title = f"yoga6, {len(FOLDS)} subject folds, up to {seeds} seeds"
    training.draw_curves(outcomes, FLOORS, output / f"{stem}-curves.png", title)
    training.draw_confusions(outcomes, output / f"{stem}.png", title)
    for name in models:
        click.echo(f"{name}: mean top-1 {result[name]['mean_top1']:.3f}; floors {FLOORS}")


if __name__ == "__main__":
    main()
