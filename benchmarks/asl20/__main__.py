"""``python -m benchmarks.asl20``: learn twenty clips by heart; fails where one is missed."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import click

from benchmarks import training

RECIPE = Path("benchmarks/asl20/recipe.yaml")
RESULTS = Path("benchmarks/results/asl20")
CHANCE = 0.05


def write_twice(root: Path, folder: Path) -> None:
    """A folder with every clip under two names, as no clip may be trained and tested on by one."""
    with (root / "clips.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "again"):
        link = folder / part
        if not link.exists():
            link.symlink_to(root.resolve(), target_is_directory=True)
    with (folder / "clips.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "part"))
        for part in ("train", "again"):
            writer.writerows((f"{part}/{row['path']}", row["label"], part) for row in rows)


@click.command()
@click.option(
    "--data",
    envvar="EFFVIT_TEST_DATA",
    required=True,
    type=click.Path(path_type=Path, exists=True),
    help="The folder that holds asl20/.",
)
@click.option("--runs", default="runs/asl20", type=click.Path(path_type=Path))
@click.option("--output", default=RESULTS, type=click.Path(path_type=Path))
def main(data: Path, runs: Path, output: Path) -> None:
    """Train on the twenty clips until every one is answered right."""
    root = runs / "twice"
    write_twice(data / "asl20", root)
    changes = [f"data.root={json.dumps(str(root))}"]
    found = training.outcome_of(RECIPE, changes, runs / "run", root)
    result = training.header("python -m benchmarks.asl20", {"causal": RECIPE})
    result |= {"floors": {"chance": CHANCE}, "top1": found.figures["top1"]}
    result |= {"frame_top1": found.figures["frame_top1"], "curve": found.top1, "loss": found.loss}
    training.write_json(result, output / f"{result['date']}-b0.json")
    click.echo(f"top-1 {found.figures['top1']:.3f} on the {found.figures['sequences']} clips")
    sys.exit(found.figures["top1"] < 1)


if __name__ == "__main__":
    main()
