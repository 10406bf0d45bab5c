"""``python -m benchmarks.basketball5``: three seeds on the given split, resumable."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import click

from benchmarks import training
from benchmarks.training import Outcome

FLOORS = {"majority": 0.24, "first frame": 0.26, "8 frames": 0.28, "8 differences": 0.31}
"""Logistic regression on 24×32 grey pixels, the same split."""
RECIPE = Path("models/basketball5.yaml")
RESULTS = Path("benchmarks/results/basketball5")
VALIDATION_SHARE = 0.2
CANDIDATES = {
    "motion first": (),
    "scratch": ("model.init=null",),
}
"""What was compared before the recipe was fixed: the recipe with these keys changed."""


def write_parts(root: Path, path: Path) -> None:
    """Write the list of clips again, its training rows parted into ``fit`` and ``validation``.

    Validation are the last rows of each class, as the test rows are the last of all: clips that
    lie near each other in the list may be of one scene.
    """
    with (root / "clips.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    by_label: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        if row["split"] == "train":
            by_label[row["label"]].append(row)
    for members in by_label.values():
        first = len(members) - round(VALIDATION_SHARE * len(members))
        for number, row in enumerate(members):
            row["split"] = "fit" if number < first else "validation"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def overrides(root: Path, seed: int) -> list[str]:
    """Where the clips are, and the seed."""
    return [f"data.root={json.dumps(str(root))}", f"seed={seed}"]


def report(runs: dict[int, Outcome], command: str, choice: Path) -> dict[str, Any]:
    """Everything to keep: figures, floors, and how the recipe was chosen."""
    outcomes = list(runs.values())
    result = training.header(command, {"causal": RECIPE}) | {"floors": FLOORS}
    result |= training.summary(outcomes)
    result["runs"] = [
        {"seed": seed, "top1": run.figures["top1"], "mean_class": run.figures["mean_class"]}
        | {"frame_top1": run.figures["frame_top1"], "curve": run.top1}
        for seed, run in runs.items()
    ]
    result["labels"] = outcomes[0].figures["labels"]
    if choice.exists():
        result["choice"] = json.loads(choice.read_text("utf-8"))
    return result


def choose(root: Path, runs: Path, output: Path) -> None:
    """Compare the candidates on the validation part of the training rows."""
    parts = runs / "parts.csv"
    write_parts(root, parts)
    where = [f"data.annotations={json.dumps(str(parts.resolve()))}"]
    where += ["data.train=[split=fit]", "data.eval=[split=validation]"]
    splits = {f"seed{seed}": [*overrides(root, seed), *where] for seed in range(1)}
    table = training.compare(RECIPE, CANDIDATES, splits, runs / "choice", root)
    training.write_json(table, output / "choice.json")


@click.command()
@click.option(
    "--data",
    envvar="EFFVIT_TEST_DATA",
    required=True,
    type=click.Path(path_type=Path, exists=True),
    help="The folder that holds basketball5/.",
)
@click.option("--runs", default="runs/basketball5", type=click.Path(path_type=Path))
@click.option("--seeds", default=3, help="Seeds 0 to N - 1.")
@click.option("--output", default=RESULTS, type=click.Path(path_type=Path))
@click.option("--compare", is_flag=True, help="Compare the candidates; no test clip is used.")
def main(data: Path, runs: Path, seeds: int, output: Path, compare: bool) -> None:
    """Train every seed and write the mean beside the floors."""
    root = data / "basketball5"
    if compare:
        choose(root, runs, output)
        return
    done = {}
    for seed in range(seeds):
        done[seed] = training.outcome_of(RECIPE, overrides(root, seed), runs / f"seed{seed}", root)
        click.echo(f"seed {seed}: top-1 {done[seed].figures['top1']:.3f}")
    command = f"python -m benchmarks.basketball5 --seeds {seeds}"
    result = report(done, command, output / "choice.json")
    stem = f"{result['date']}-b0"
    training.write_json(result, output / f"{stem}.json")
    models, title = {"causal": list(done.values())}, f"basketball5, {seeds} seeds"
    training.draw_curves(models, FLOORS, output / f"{stem}-curves.png", title)
    training.draw_confusions(models, output / f"{stem}.png", title)
    click.echo(f"mean top-1 {result['mean_top1']:.3f}; floors {FLOORS}")


if __name__ == "__main__":
    main()
