"""Pictures of a run: its curves, and who is taken for whom.

matplotlib is imported when a picture is drawn, and never through ``pyplot``, which keeps figures
and looks for a screen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from effvit_edge.core.files import atomic_path
from effvit_edge.core.optional import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 110
_SMOOTHED_STEPS = 50
_TRAIN, _FAINT = "tab:blue", "0.8"
_EVAL = ("tab:orange", "tab:green", "tab:red", "tab:purple")

Record = Mapping[str, Any]
Series = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]


def draw_curves(records: Sequence[Record], path: Path, title: str = "") -> None:
    """Write the curves of a run as a PNG picture.

    Args:
        records: of the journal.
        path: of the picture.
        title: above it.

    Raises:
        EnvironmentFault: matplotlib is not installed.
    """
    save(curves(records, title), path)


def curves(records: Sequence[Record], title: str = "") -> Figure:
    """Loss, accuracy, learning rate, gradient norm, throughput and data wait, over the steps."""
    figure, axes = new_figure(13.0, 7.0, rows=2, columns=3)
    figure.suptitle(title, fontsize=11)
    loss, accuracy, rate, norm, speed, wait = axes.flat
    _noisy(loss, _series(records, "loss"), "training loss")
    _noisy(accuracy, _series(records, "accuracy"), "accuracy", label="training clips")
    for color, (name, found) in zip(cycle(_EVAL), _evaluations(records).items(), strict=False):
        accuracy.plot(*found, "o-", color=color, markersize=4, label=f"evaluation, {name}")
    accuracy.set_ylim(0, 1.02)
    if accuracy.lines[1:]:
        accuracy.legend(fontsize=8, loc="best")
    rate.plot(*_series(records, "lr"), color=_TRAIN)
    _name(rate, "learning rate")
    _noisy(norm, _series(records, "grad_norm"), "gradient norm, before clipping")
    norm.set_yscale("log")
    speed.plot(*_series(records, "samples_per_second"), color=_TRAIN)
    _name(speed, "training clips a second")
    speed.set_ylim(bottom=0)
    wait.plot(*_series(records, "data_wait_share"), color=_TRAIN)
    _name(wait, "share of time spent waiting for data")
    wait.set_ylim(0, 1)
    return figure


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1
) -> tuple[Figure, npt.NDArray[Any]]:
    """A figure of so many inches, and its axes as an array.

    Raises:
        EnvironmentFault: matplotlib is not installed.
    """
    module = require("matplotlib.figure", "train")
    figure: Figure = module.Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a picture, whole or not at all."""
    with atomic_path(path) as new:
        figure.savefig(new)


def pixels(figure: Figure) -> npt.NDArray[np.uint8]:
    """A figure as ``(H, W, 3)`` RGB."""
    canvas = require("matplotlib.backends.backend_agg", "train").FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba(), dtype=np.uint8)[..., :3].copy()


def _series(records: Sequence[Record], key: str) -> Series:
    """Steps and values of a key, where it has a value."""
    found = [(record["step"], record[key]) for record in records if record.get(key) is not None]
    steps, values = zip(*found, strict=True) if found else ((), ())
    return np.array(steps, dtype=np.int64), np.array(values, dtype=np.float64)


def _evaluations(records: Sequence[Record]) -> dict[str, Series]:
    """Top-1 (or mAP) of each label group over the evaluations, by a name for the legend."""
    rows = [
        {"step": record["step"], **_scores(record["eval"])}
        for record in records
        if "eval" in record
    ]
    names = dict.fromkeys(key for row in rows for key in row if key != "step")
    return {name: _series(rows, name) for name in names}


def _scores(figures: Record) -> dict[str, float]:
    groups = figures.get("groups") or {"": figures}
    scores = {}
    for name, own in groups.items():
        for key, words in (("top1", "top-1"), ("map", "mAP")):
            if key in own:
                scores[f"{name} {words}".strip()] = own[key]
    return scores


def _noisy(axes: Axes, series: Series, title: str, label: str | None = None) -> None:
    """A series as it is, faintly, and smoothed on top."""
    steps, values = series
    span = min(_SMOOTHED_STEPS, max(1, len(values) // 10))
    axes.plot(steps, values, color=_FAINT, linewidth=0.7)
    if len(values):
        sums = np.cumsum(np.concatenate([[0.0], values]))
        means = (sums[span:] - sums[:-span]) / span
        axes.plot(steps[span - 1 :], means, color=_TRAIN, label=label)
    suffix = f" (mean of {span} steps)" if span > 1 else ""
    _name(axes, title + suffix)


def _name(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("step", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
