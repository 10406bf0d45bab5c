"""``python -m benchmarks.variants``: every network trains, in float32 and bfloat16, on this CPU."""

from __future__ import annotations

import datetime
import itertools
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks.variants.fixed_batch import CLASSES, Run, Setting, train
from effvit_edge.core.files import atomic_path
from effvit_edge.nn.efficientvit.presets import PRESETS
from effvit_edge.train.precision import Kind

PRECISIONS: tuple[Kind, ...] = ("fp32", "bf16")


@click.command()
@click.option("--variant", "variants", multiple=True, type=click.Choice(list(PRESETS)))
@click.option("--steps", default=30, show_default=True)
@click.option("--size", default=64, show_default=True, help="Pixels a side.")
@click.option("--frames", default=4, show_default=True)
@click.option("--batch", default=CLASSES, show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="JSON file.")
def main(
    variants: tuple[str, ...],
    steps: int,
    size: int,
    frames: int,
    batch: int,
    threads: int,
    output: Path,
) -> None:
    """Take STEPS on one fixed batch with each network, causal and centred, and tell the losses.

    What the output file holds already of these is kept, and not run again.
    """
    torch.set_num_threads(threads)
    runs = read(output)
    for variant, causal, precision in itertools.product(
        variants or tuple(PRESETS), (False, True), PRECISIONS
    ):
        setting = Setting(
            variant, causal, precision, size=size, frames=frames, batch=batch, steps=steps
        )
        if any(is_of(summary, setting) for summary in runs):
            continue
        run = train(setting)
        click.echo(sentence(run))
        runs.append(run.summary())
        write(output, runs, threads)  # a stopped run keeps what it has
    click.echo(f"{output}: {sum(summary['learnt'] for summary in runs)} of {len(runs)} learnt.")


def read(output: Path) -> list[dict[str, Any]]:
    """The summaries of the runs that a file holds; none where there is no file."""
    if not output.exists():
        return []
    runs: list[dict[str, Any]] = json.loads(output.read_text(encoding="utf-8"))["runs"]
    return runs


def is_of(summary: Mapping[str, Any], setting: Setting) -> bool:
    """Whether a run was of this setting."""
    names = ("variant", "causal", "precision", "size", "frames", "batch", "steps")
    return all(summary[name] == getattr(setting, name) for name in names)


def sentence(run: Run) -> str:
    """A run in one line."""
    setting = run.setting
    form = "causal" if setting.causal else "centred"
    verdict = "learnt" if run.learnt else f"NOT LEARNT, not finite: {run.not_finite}"
    return (
        f"{setting.variant} {form:7} {setting.precision}: loss {run.losses[0]:.3f} to "
        f"{run.last_loss:.4f}, {run.seconds_a_step:.2f} s a step, {verdict}"
    )


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    return {
        "date": datetime.date.today().isoformat(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def write(output: Path, runs: Sequence[Mapping[str, Any]], threads: int) -> None:
    """Write the summaries of all runs so far."""
    result = {**machine(), "threads": threads, "runs": list(runs)}
    output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(output) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
