"""``python -m benchmarks.yoga6``: every fold and seed, resumable, then the mean."""

from __future__ import annotations

import datetime
import json
import platform
import statistics
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from effvit_edge.core.card import LabelGroup
from effvit_edge.core.files import atomic_path
from effvit_edge.train.loop import Trainer
from effvit_edge.train.metrics import ExclusiveTally
from effvit_edge.train.plots import draw_confusion
from effvit_edge.train.recipe import load_recipe

FOLDS = (0, 1, 2, 3)
FLOORS = {"majority": 0.25, "first_frame": 0.59, "eight_frames": 0.82}
"""Logistic regression on 24×32 grey pixels, mean of the same folds."""
KEPT = ("top1", "sequences", "labels", "confusion")


def train_fold(recipe: Path, data: Path, folder: Path, fold: int, seed: int) -> dict[str, Any]:
    """Train one fold, or go on with it, or read its result where it has ended."""
    evaluation = folder / "evaluation.json"
    if not evaluation.exists():
        overrides = [
            f"data.root={json.dumps(str(data))}",
            f"data.train=[fold!={fold}]",
            f"data.eval=[fold={fold}]",
            f"seed={seed}",
            f"output.folder={json.dumps(str(folder))}",
        ]
        Trainer(load_recipe(recipe, overrides), resume=(folder / "last").exists()).run()
    result: dict[str, Any] = json.loads(evaluation.read_text("utf-8"))
    return {"fold": fold, "seed": seed} | {key: result[key] for key in KEPT}


def summed_tally(runs: list[dict[str, Any]]) -> ExclusiveTally:
    """The answers of all runs together."""
    tally = ExclusiveTally(LabelGroup("pose", tuple(runs[0]["labels"])))
    for run in runs:
        tally.count(np.array(run["confusion"], dtype=np.int64))
    return tally


@click.command()
@click.option("--recipe", default="models/yoga6.yaml", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--data",
    envvar="EFFVIT_TEST_DATA",
    required=True,
    type=click.Path(path_type=Path, exists=True),
    help="The folder that holds yoga6/.",
)
@click.option("--runs", default="runs/yoga6", type=click.Path(path_type=Path))
@click.option("--seeds", default=2, help="Seeds 0 to N - 1.")
@click.option("--output", default="benchmarks/results/yoga6", type=click.Path(path_type=Path))
def main(recipe: Path, data: Path, runs: Path, seeds: int, output: Path) -> None:
    """Train every fold with every seed and write the mean beside the floors."""
    done: list[dict[str, Any]] = []
    for seed in range(seeds):
        for fold in FOLDS:
            folder = runs / f"fold{fold}-seed{seed}"
            done.append(train_fold(recipe, data / "yoga6", folder, fold, seed))
            click.echo(f"fold {fold}, seed {seed}: top-1 {done[-1]['top1']:.3f}")
    result = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {platform.system()}, torch {torch.__version__}",
        "recipe_hash": load_recipe(recipe).hash(),
        "mean_top1": round(statistics.fmean(run["top1"] for run in done), 4),
        "floors": FLOORS,
        "runs": done,
    }
    output.mkdir(parents=True, exist_ok=True)
    with atomic_path(output / f"{result['date']}-b0.json") as path:
        path.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    draw_confusion(summed_tally(done), output / f"{result['date']}-b0.png", "yoga6, all runs")
    click.echo(f"mean top-1 {result['mean_top1']:.3f} over {len(done)} runs; floors {FLOORS}")


if __name__ == "__main__":
    main()
