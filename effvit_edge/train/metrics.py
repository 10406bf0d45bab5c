"""What a set of scored sequences amounts to. numpy only.

Notation: T frames; a confusion matrix has the truth in rows and the answer in columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from effvit_edge.core.files import atomic_path
from effvit_edge.core.optional import require
from effvit_edge.data.types import IGNORE, Targets

Logits = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]

_FAR_WINDOWS = 10


def softmax(logits: Logits) -> Logits:
    """Over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Logits = (shifted / shifted.sum(axis=-1, keepdims=True)).astype(np.float32)
    return result


@dataclass
class Report:
    """Counts of right answers, filled one sequence at a time.

    Args:
        labels: class names, in the order of the logits.
        window_frames: ``M``; answers before frame ``M`` are warm-up and are not scored.
        per_frame: whether there is an answer for each frame (streams) or each clip.
    """

    labels: tuple[str, ...]
    window_frames: int
    per_frame: bool
    confusion: Counts = field(init=False)
    frames_right: int = 0
    frames_scored: int = 0
    near_right: int = 0
    far_right: int = 0
    long_sequences: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start from nothing."""
        self.confusion = np.zeros((len(self.labels), len(self.labels)), dtype=np.int64)

    def add(self, name: str, logits: Logits, labels: Targets) -> None:
        """Score one sequence.

        Args:
            name: for the list of errors.
            logits: ``(T, classes)`` for streams, ``(clips, classes)`` otherwise.
            labels: ``(T,)``; the sequence's own label is that of its last labelled frame.
        """
        labelled = labels[labels != IGNORE]
        if not len(labelled):
            return
        truth = int(labelled[-1])
        warmup = min(self.window_frames - 1, len(logits) - 1) if self.per_frame else 0
        scores = softmax(logits[warmup:]).mean(axis=0)
        answer = int(scores.argmax())
        self.confusion[truth, answer] += 1
        if answer != truth:
            wrong = {"name": name, "label": self.labels[truth], "answer": self.labels[answer]}
            self.errors.append({**wrong, "score": round(float(scores[answer]), 4)})
        if self.per_frame:
            self._add_frames(logits, labels, warmup)

    def _add_frames(self, logits: Logits, labels: Targets, warmup: int) -> None:
        right = logits.argmax(axis=-1) == labels
        scored = labels[warmup:] != IGNORE
        self.frames_right += int(right[warmup:][scored].sum())
        self.frames_scored += int(scored.sum())
        far = _FAR_WINDOWS * self.window_frames - 1
        if len(labels) > far and self.window_frames > 1:
            self.long_sequences += 1
            self.near_right += int(right[self.window_frames - 1])
            self.far_right += int(right[far])

    @property
    def sequences(self) -> int:
        """How many were scored."""
        return int(self.confusion.sum())

    @property
    def top1(self) -> float:
        """Share of sequences answered right."""
        return _share(int(self.confusion.trace()), self.sequences)

    def per_class(self) -> dict[str, float]:
        """Share of each class's sequences answered right; classes without any are left out."""
        totals = self.confusion.sum(axis=1)
        return {
            label: round(int(self.confusion[i, i]) / int(totals[i]), 4)
            for i, label in enumerate(self.labels)
            if totals[i]
        }

    def summary(self) -> dict[str, Any]:
        """The figures, as JSON values."""
        per_class = self.per_class()
        figures: dict[str, Any] = {
            "top1": round(self.top1, 4),
            "mean_class": round(_share(sum(per_class.values()), len(per_class)), 4),
            "majority": round(_share(int(self.confusion.sum(axis=1).max()), self.sequences), 4),
            "sequences": self.sequences,
        }
        if self.per_frame:
            figures["frame_top1"] = round(_share(self.frames_right, self.frames_scored), 4)
        if self.long_sequences:
            figures["first_window_top1"] = round(self.near_right / self.long_sequences, 4)
            figures["ten_windows_top1"] = round(self.far_right / self.long_sequences, 4)
            figures["long_sequences"] = self.long_sequences
        if self.note():
            figures["note"] = self.note()
        return figures

    def note(self) -> str:
        """What to know of a stream that forgets: ten windows in, over a point worse; else empty."""
        lost = self.near_right - self.far_right
        if 100 * lost <= self.long_sequences:
            return ""
        return (
            f"ten windows in is {100 * lost / self.long_sequences:.1f} points worse than the "
            f"first window ({self.far_right} right instead of {self.near_right}, of "
            f"{self.long_sequences}); longer training clips (input.frames) may help"
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {
            **self.summary(),
            "per_class": self.per_class(),
            "labels": list(self.labels),
            "confusion": self.confusion.tolist(),
            "errors": self.errors,
        }

    def sentence(self) -> str:
        """The figures in a few words, with the note where there is one."""
        return describe(self.summary())

    def headline(self) -> str:
        """The figures in a few words."""
        return _headline(self.summary())


def describe(figures: Mapping[str, Any]) -> str:
    """A report's summary in a few words, with the note where there is one."""
    return _headline(figures) + (f". Note: {figures['note']}" if "note" in figures else "")


def draw_confusion(report: Report, path: Path, title: str = "") -> None:
    """Write the confusion matrix as a PNG picture.

    Raises:
        EnvironmentFault: matplotlib is not installed.
    """
    figure_module = require("matplotlib.figure", "train")
    totals = report.confusion.sum(axis=1, keepdims=True)
    shares = report.confusion / np.maximum(totals, 1)
    count = len(report.labels)
    side = max(4.0, 0.55 * count + 2.0)
    figure = figure_module.Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(count), report.labels, rotation=60, ha="right")
    axes.set_yticks(range(count), report.labels)
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    axes.set_title(f"{title}\n{report.headline()}".strip(), fontsize=9)
    if count <= 30:
        for row, column in zip(*np.nonzero(report.confusion), strict=True):
            color = "white" if shares[row, column] > 0.5 else "black"
            text = str(report.confusion[row, column])
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    with atomic_path(path) as new:
        figure.savefig(new, dpi=110)


def _headline(figures: Mapping[str, Any]) -> str:
    text = f"top-1 {figures['top1']:.1%} of {figures['sequences']}"
    if "frame_top1" in figures:
        text += f", frames {figures['frame_top1']:.1%}"
    if "ten_windows_top1" in figures:
        text += (
            f", first window {figures['first_window_top1']:.1%}"
            f", ten windows in {figures['ten_windows_top1']:.1%}"
        )
    return text


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
