"""``python -m benchmarks.gpu --output DIR``: all that only a GPU shows, as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks.gpu.plan import TINY, Size, ratio_settings, settings
from benchmarks.gpu.together import train_together
from benchmarks.variants.__main__ import machine
from benchmarks.variants.fixed_batch import CLASSES, Setting, train
from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.core.files import atomic_path
from effvit_edge.nn.efficientvit.presets import PRESETS

_DRY_MEMORY = 2**30


@dataclass(frozen=True)
class Device:
    """Where it runs."""

    kind: str
    name: str
    memory: int
    """Bytes."""
    count: int


@click.command()
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--variant", "variants", multiple=True, type=click.Choice(list(PRESETS)))
@click.option("--pixels", default=Size.pixels, show_default=True, help="A side of the clips.")
@click.option("--frames", default=Size.frames, show_default=True)
@click.option("--steps", type=click.IntRange(min=2), default=Size.steps, show_default=True)
@click.option("--dry-run", is_flag=True, help="Tiny, on the CPU: that all parts run, no figures.")
def main(
    output: Path, variants: tuple[str, ...], pixels: int, frames: int, steps: int, dry_run: bool
) -> None:
    """Train every network on one batch at real size on a CUDA device.

    Writes gpu.json into DIR after every run: losses, what was not finite, clips a second, peak
    memory beside the counted activations, and what recomputing, compiling and several devices
    bring. Exit 3 without a CUDA device.
    """
    try:
        device = find_device(dry_run)
    except EnvironmentFault as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)
    size = TINY if dry_run else Size(pixels=pixels, frames=frames, steps=steps)
    output.mkdir(parents=True, exist_ok=True)
    record = Record(output / "gpu.json", device, dry_run=dry_run)
    runs = list(settings(size, device=device.kind, memory=device.memory, variants=variants))
    for setting in runs:
        record.add("runs", _fitting(train_summary, setting))
    for variant in size.ratio_variants:
        for setting in runs:
            if setting.variant == variant and setting.precision == "bf16" and setting.causal:
                for changed in ratio_settings(setting, compiles=size.compiles):
                    record.add("ratios", _fitting(train_summary, changed))
    processes = 2 if dry_run else device.count
    if processes > 1:
        record.add("together", _fitting(_together(processes), runs[0]))
    click.echo(f"{record.path} is written.")


def find_device(dry_run: bool) -> Device:
    """The CUDA device, or the CPU for a dry run.

    Raises:
        EnvironmentFault: there is no CUDA device.
    """
    if dry_run:
        return Device("cpu", "CPU, dry run", _DRY_MEMORY, 0)
    if not torch.cuda.is_available():
        raise EnvironmentFault(
            "torch finds no CUDA device. Run this on a machine with one and a CUDA build of torch; "
            "--dry-run shows on any machine that the script works."
        )
    properties = torch.cuda.get_device_properties(0)
    return Device("cuda", properties.name, properties.total_memory, torch.cuda.device_count())


class Record:
    """The JSON file, written anew after every run: a stopped one keeps what it has."""

    def __init__(self, path: Path, device: Device, *, dry_run: bool) -> None:
        self.path = path
        self._content: dict[str, Any] = {
            **machine(),
            "dry_run": dry_run,
            "device": device.name,
            "device_memory": device.memory,
            "devices": device.count,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }

    def add(self, part: str, summary: dict[str, Any]) -> None:
        """Append a run to a part of the file, and say it."""
        self._content.setdefault(part, []).append(summary)
        click.echo(f"{part}: {json.dumps(summary)}")
        with atomic_path(self.path) as temporary:
            temporary.write_text(json.dumps(self._content, indent=1) + "\n", encoding="utf-8")


def train_summary(setting: Setting) -> dict[str, Any]:
    """One process, one device."""
    return train(setting).summary()


def _together(processes: int) -> Callable[[Setting], dict[str, Any]]:
    return lambda setting: train_together(setting, processes)


def _fitting(run: Callable[[Setting], dict[str, Any]], setting: Setting) -> dict[str, Any]:
    """The run, with half the clips for as long as the device has too little memory."""
    while True:
        try:
            return run(setting)
        except torch.cuda.OutOfMemoryError as error:
            if setting.batch <= CLASSES:
                return {**_named(setting), "error": str(error).splitlines()[0]}
        torch.cuda.empty_cache()
        setting = replace(setting, batch=max(CLASSES, setting.batch // 2))


def _named(setting: Setting) -> dict[str, Any]:
    return {
        "variant": setting.variant,
        "causal": setting.causal,
        "precision": setting.precision,
        "batch": setting.batch,
    }


if __name__ == "__main__":
    main()
