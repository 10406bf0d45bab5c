"""Compare what training runs say is left with how long they then take."""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.files import atomic_path
from effvit_edge.train.journal import read_journal
from effvit_edge.train.loop import Trainer
from effvit_edge.train.recipe import load_recipe
from effvit_edge.train.record import JOURNAL

SHARES = (0.02, 0.05, 0.1, 0.25, 0.5)
LIMIT = 0.2
COMMON = ("output.log_every=1", "output.tensorboard=false", "speed.threads=1")
MOTION = (
    "model.causal=true",
    "input.height=64",
    "input.width=64",
    "optim.batch_size=4",
    "data.eval_sequences=27",
    "data.textures=30",
    "data.plain_first=0",
)


@dataclass(frozen=True)
class Case:
    """One run."""

    recipe: str
    overrides: tuple[str, ...]
    needs_data: bool = False


CASES = {
    "motion, evaluated at the end": Case(
        "models/demo.yaml", (*MOTION, "optim.steps=250", "eval.every=0")
    ),
    "motion, evaluated often": Case(
        "models/demo.yaml", (*MOTION, "optim.steps=250", "eval.every=50")
    ),
    # Starts from the demo model, which models/demo.yaml makes.
    "yoga6, the whole recipe": Case("models/yoga6_motion.yaml", (), needs_data=True),
    "yoga6, evaluated often": Case(
        "models/yoga6.yaml",
        ("optim.steps=150", "optim.warmup_steps=15", "optim.batch_size=8", "eval.every=50"),
        needs_data=True,
    ),
}


class ProcessorClock:
    """Processor time of this process."""

    def now(self) -> float:
        """Seconds."""
        return time.process_time()


def run_case(case: Case, folder: Path, data: Path | None, clock: Clock) -> dict[str, Any]:
    """Train, and compare each prediction with the truth."""
    overrides = [*COMMON, *case.overrides, f"output.folder={json.dumps(str(folder))}"]
    if case.needs_data and data is not None:
        overrides.append(f"data.root={json.dumps(str(data / 'yoga6'))}")
    trained = Trainer(load_recipe(Path(case.recipe), overrides), clock=clock).run()
    records = read_journal(folder / JOURNAL)
    truth = max(record.get("elapsed_seconds", 0.0) for record in records)
    told = {r["step"]: r for r in records if "seconds_left" in r and "eval" not in r}
    predictions = []
    for share in SHARES:
        record = told[max(math.ceil(share * trained.steps), min(told))]
        total = record["elapsed_seconds"] + record["seconds_left"]
        predictions.append(
            {
                "share": share,
                "step": record["step"],
                "predicted_seconds": round(total, 1),
                "error": round(total / truth - 1, 4),
            }
        )
    return {"steps": trained.steps, "seconds": round(truth, 1), "predictions": predictions}


@click.command()
@click.option(
    "--data",
    envvar="EFFVIT_TEST_DATA",
    type=click.Path(path_type=Path, exists=True),
    help="The folder that holds yoga6/.",
)
@click.option("--clock", "clock_name", type=click.Choice(["wall", "cpu"]), default="wall")
@click.option("--only", type=click.Choice(list(CASES)), multiple=True, help="All else.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="JSON file.")
def main(data: Path | None, clock_name: str, only: tuple[str, ...], output: Path) -> None:
    """Train short runs and judge what they said about the time left."""
    clock: Clock = ProcessorClock() if clock_name == "cpu" else MonotonicClock()
    load_before, runs = os.getloadavg(), {}
    for name, case in CASES.items():
        if only and name not in only:
            continue
        if case.needs_data and data is None:
            print(f"{name}: left out, no --data")
            continue
        with tempfile.TemporaryDirectory() as folder:
            runs[name] = run_case(case, Path(folder) / "run", data, clock)
        first = runs[name]["predictions"][0]
        first["within_limit"] = abs(first["error"]) <= LIMIT
        print(f"{name}: {runs[name]['seconds']} s, at 2 % {first['error']:+.1%}")
    result = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {platform.system()}, torch {torch.__version__}",
        "load_average": {"before": load_before, "after": os.getloadavg()},
        "clock": "wall" if clock_name == "wall" else "processor time of the training process",
        "limit": LIMIT,
        "runs": runs,
    }
    with atomic_path(output) as new:
        new.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
