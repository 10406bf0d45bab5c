"""Training runs as measurements: trained or gone on with, read back, summed up and drawn."""

from __future__ import annotations

import datetime
import json
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import effvit_edge
from effvit_edge.core.files import atomic_path
from effvit_edge.train.journal import read_journal
from effvit_edge.train.loop import Trainer
from effvit_edge.train.recipe import load_recipe

SMOOTHED_STEPS = 20
"""The loss is drawn as the mean of so many steps, those that one evaluation looks back on."""
KEPT = ("top1", "mean_class", "loss", "frame_top1", "sequences", "labels", "confusion", "errors")
COMPARED = ("sequences", "top1", "frame_top1", "loss")
"""Of each candidate on each split."""

Curve = list[tuple[int, float]]
"""Pairs of a step and a figure."""


@dataclass(frozen=True)
class Outcome:
    """What one finished run came to."""

    figures: Mapping[str, Any]
    """Of the evaluation at the end."""
    loss: Curve
    top1: Curve

    @property
    def confusion(self) -> npt.NDArray[np.int64]:
        """``(classes, classes)``, the truth in rows."""
        return np.array(self.figures["confusion"], dtype=np.int64)


def outcome_of(recipe: Path, overrides: Sequence[str], folder: Path, data: Path) -> Outcome:
    """Train one recipe, or go on with it, or read what it came to where it has ended.

    Args:
        recipe: the file.
        overrides: ``key=value``, beside the output folder.
        folder: of the run.
        data: the videos' folder; errors are named relative to it.
    """
    if not has_ended(recipe, folder):
        chosen = load_recipe(recipe, [*overrides, f"output.folder={json.dumps(str(folder))}"])
        Trainer(chosen, resume=(folder / "last").exists()).run()
    found = json.loads((folder / "evaluation.json").read_text("utf-8"))
    figures = {key: found[key] for key in KEPT if key in found}
    figures["errors"] = [
        {**error, "name": _relative(error["name"], data)} for error in found["errors"]
    ]
    records = read_journal(folder / "metrics.jsonl")
    losses = [(r["step"], r["loss"]) for r in records if r.get("loss") is not None]
    top1 = [(r["step"], r["eval"]["top1"]) for r in records if "eval" in r]
    return Outcome(figures, _means(losses), top1)


def has_ended(recipe: Path, folder: Path) -> bool:
    """Whether a run was evaluated after the last step of its recipe, which counts in steps."""
    records = read_journal(folder / "metrics.jsonl")
    last = max((record["step"] for record in records if "eval" in record), default=0)
    return last >= load_recipe(recipe).optim.steps


def _relative(name: str, data: Path) -> str:
    path = Path(name)
    if path.is_relative_to(data):
        return path.relative_to(data).as_posix()
    return path.name if path.is_absolute() else path.as_posix()


def _means(curve: Curve) -> Curve:
    """The mean of every ``SMOOTHED_STEPS`` values, at the last of their steps."""
    groups = [curve[i : i + SMOOTHED_STEPS] for i in range(0, len(curve), SMOOTHED_STEPS)]
    return [(group[-1][0], statistics.fmean(value for _, value in group)) for group in groups]


def header(command: str, recipes: Mapping[str, Path]) -> dict[str, Any]:
    """When, where and with what a result was made."""
    return {
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {platform.system()}, {_processor()}",
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "effvit_edge": effvit_edge.__version__,
        },
        "command": command,
        "recipes": {
            name: {"file": path.as_posix(), "hash": load_recipe(path).hash()}
            for name, path in recipes.items()
        },
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text("utf-8").splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Mean and spread of several runs' top-1."""
    top1 = [outcome.figures["top1"] for outcome in outcomes]
    return {
        "mean_top1": round(statistics.fmean(top1), 4),
        "lowest_top1": min(top1),
        "highest_top1": max(top1),
        "confusion": sum(outcome.confusion for outcome in outcomes).tolist(),  # type: ignore[union-attr]
    }


def compare(
    recipe: Path,
    candidates: Mapping[str, Sequence[str]],
    splits: Mapping[str, Sequence[str]],
    runs: Path,
    data: Path,
) -> dict[str, Any]:
    """Train every candidate on every split; all of them are ``recipe`` with some keys changed.

    Args:
        recipe: the file.
        candidates: what each changes, ``key=value``.
        splits: what makes each split, ``key=value``.
        runs: folder of the runs.
        data: the videos' folder.
    """
    table: dict[str, Any] = {}
    for name, changes in candidates.items():
        rows = {}
        for split, parts in splits.items():
            folder = runs / name / split
            found = outcome_of(recipe, [*changes, *parts], folder, data).figures
            rows[split] = {key: found[key] for key in COMPARED}
            click.echo(f"{name}, {split}: {found['top1']:.3f}, loss {found['loss']:.3f}")
        table[name] = {"changes": list(changes), **_over_splits(rows), "splits": rows}
    return table


def _over_splits(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Mean figures, each split counting by its sequences."""
    total = sum(row["sequences"] for row in rows.values())
    return {
        key: round(sum(row[key] * row["sequences"] for row in rows.values()) / total, 4)
        for key in ("top1", "loss")
    }


def write_json(result: Mapping[str, Any], path: Path) -> None:
    """Write a result, one run or row a line where it is short enough to read so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as new:
        new.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


def draw_curves(
    models: Mapping[str, Sequence[Outcome]],
    floors: Mapping[str, float],
    path: Path,
    title: str,
) -> None:
    """Top-1 on the test clips and training loss over steps: mean and range of each model's runs."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, outcomes in models.items():
        _draw_band(left, [outcome.top1 for outcome in outcomes], name)
        _draw_band(right, [outcome.loss for outcome in outcomes], name)
    label = "floors: " + ", ".join(f"{name} {value:.2f}" for name, value in floors.items())
    left.hlines(
        list(floors.values()),
        0,
        1,
        transform=left.get_yaxis_transform(),
        label=label,
        color="grey",
        linewidth=0.8,
        linestyle=":",
    )
    left.set(xlabel="step", ylabel="top-1 of whole clips, test", ylim=(0, 1.02))
    right.set(xlabel="step", ylabel=f"training loss, mean of {SMOOTHED_STEPS} steps")
    left.legend(loc="lower right", fontsize=7)
    left.set_xlim(left=0)
    figure.suptitle(title, fontsize=10)
    with atomic_path(path) as new:
        figure.savefig(new, dpi=110)


def _draw_band(axes: Axes, curves: Sequence[Curve], name: str) -> None:
    steps = [step for step, _ in curves[0]]
    values = np.array([[value for _, value in curve] for curve in curves])
    label = f"{name}, mean and range of {len(curves)} runs"
    (line,) = axes.plot(steps, values.mean(axis=0), marker=".", markersize=4, label=label)
    axes.fill_between(
        steps, values.min(axis=0), values.max(axis=0), alpha=0.2, color=line.get_color()
    )


def draw_confusions(models: Mapping[str, Sequence[Outcome]], path: Path, title: str) -> None:
    """Confusion of all runs of each model together, side by side."""
    figure = Figure(figsize=(5 * len(models), 5), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(models)))
    for axes, (name, outcomes) in zip(panels, models.items(), strict=True):
        counts = np.sum([outcome.confusion for outcome in outcomes], axis=0)
        labels = outcomes[0].figures["labels"]
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(labels)), labels, rotation=60, ha="right")
        axes.set_yticks(range(len(labels)), labels)
        axes.set(xlabel="answer", ylabel="truth")
        axes.set_title(f"{name}: {counts.trace()} of {counts.sum()}", fontsize=9)
        for row, column in zip(*np.nonzero(counts), strict=True):
            color = "white" if shares[row, column] > 0.5 else "black"
            text = str(counts[row, column])
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    figure.suptitle(title, fontsize=10)
    with atomic_path(path) as new:
        figure.savefig(new, dpi=110)
