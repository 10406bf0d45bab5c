"""Pictures of a run: its curves, and who is taken for whom.

matplotlib is imported when a picture is drawn, and never through ``pyplot``, which keeps figures
and looks for a screen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from effvit_edge.core.files import atomic_path
from effvit_edge.core.optional import require
from effvit_edge.train.metrics import ExclusiveTally

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 110
_SMOOTHED_STEPS = 50
_MOST_CLASSES = 40
_LABEL_LETTERS = 28
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
    _plain(rate, _series(records, "lr"))
    _name(rate, "learning rate")
    norms = _series(records, "grad_norm")
    _noisy(norm, norms, "gradient norm, before clipping")
    if np.any(norms[1] > 0):  # a logarithmic axis cannot show a run that had nothing to learn
        norm.set_yscale("log")
    _plain(speed, _series(records, "samples_per_second"))
    _name(speed, "training clips a second")
    speed.set_ylim(bottom=0)
    _plain(wait, _series(records, "data_wait_share"))
    _name(wait, "share of time spent waiting for data")
    wait.set_ylim(0, 1)
    return figure


def draw_confusion(tally: ExclusiveTally, path: Path, title: str = "") -> None:
    """Write a confusion matrix as a PNG picture: of many classes the most confused ones.

    Raises:
        EnvironmentFault: matplotlib is not installed.
    """
    save(confusion(tally, title), path)


def confusion(tally: ExclusiveTally, title: str = "") -> Figure:
    """Truth in rows, answers in columns; colour is the share of the truth's sequences."""
    shown = _shown_classes(tally)
    labels = [_short(tally.group.labels[i]) for i in shown]
    counts = np.array([[tally.pairs[row, column] for column in shown] for row in shown])
    sizes = Counter[int]()
    for (truth, _), count in tally.pairs.items():
        sizes[truth] += count
    totals = np.array([[max(sizes[row], 1)] for row in shown])
    side = max(4.5, 0.34 * len(shown) + 3.0)
    figure, axes_array = new_figure(side, side)
    axes: Axes = axes_array[0, 0]
    axes.imshow(counts / totals, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(shown)), labels, rotation=90)
    axes.set_yticks(range(len(shown)), labels)
    axes.tick_params(labelsize=8)
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    axes.set_title("\n".join(filter(None, (title, *_captions(tally, len(shown))))), fontsize=9)
    for row, column in np.argwhere(counts).tolist():
        color = "white" if counts[row, column] > totals[row, 0] / 2 else "black"
        text = str(counts[row, column])
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=7)
    return figure


def _shown_classes(tally: ExclusiveTally) -> list[int]:
    """All classes, or those with the most wrong answers, in the order of the labels."""
    count = len(tally.group.labels)
    if count <= _MOST_CLASSES:
        return list(range(count))
    wrong, sizes = Counter[int](), Counter[int]()
    for (truth, answer), number in tally.pairs.items():
        sizes[truth] += number
        if truth != answer:
            wrong.update({truth: number, answer: number})
    order = sorted(range(count), key=lambda i: (-wrong[i], -sizes[i], i))
    return sorted(order[:_MOST_CLASSES])


def _captions(tally: ExclusiveTally, shown: int) -> list[str]:
    lines = [f"{tally.group.name}: top-1 {tally.score:.1%} of {tally.sequences}"]
    if shown < len(tally.group.labels):
        lines.append(
            f"only the {shown} of {len(tally.group.labels)} classes with the most wrong answers"
        )
    return lines


def _short(label: str) -> str:
    return label if len(label) <= _LABEL_LETTERS else label[: _LABEL_LETTERS - 1] + "…"


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


def read_picture(path: Path) -> npt.NDArray[np.uint8]:
    """A picture that was written here, as ``(H, W, 3)`` RGB."""
    found = require("matplotlib.image", "train").imread(path)  # (H, W, 4), 0..1
    return np.asarray(np.round(found[..., :3] * 255), dtype=np.uint8)


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


def _plain(axes: Axes, series: Series) -> None:
    """A series as it is; a single value as a point, of which a line shows nothing."""
    axes.plot(*series, "o" if len(series[0]) == 1 else "-", color=_TRAIN, markersize=4)


def _name(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("step", fontsize=8)
    axes.locator_params(axis="x", integer=True, min_n_ticks=1)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
