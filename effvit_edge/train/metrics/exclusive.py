"""Answers to a question with exactly one right answer.

Notation: T frames or clips, C classes; a confusion matrix has the truth in rows and the answer in
columns.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from effvit_edge.core.card import LabelGroup
from effvit_edge.data.types import IGNORE
from effvit_edge.train.metrics.scores import Scores, asked_frames

Counts = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int64]

_TOP = 5
_FAR_WINDOWS = 10
_LEAST_SCORE = 1e-9
"""A class that got less counts as this, so that one sequence cannot make the mean loss infinite."""
_MATRIX_CLASSES = 200
"""A report of more classes lists the pairs that occur instead of a matrix of zeros."""


@dataclass(frozen=True)
class ClassRow:
    """One class's line in a table."""

    label: str
    sequences: int
    right: int
    confused_with: str
    """The commonest wrong answer; empty where there is none."""
    confused: int
    """How often it was given."""


@dataclass
class ExclusiveTally:
    """Counts of right answers, filled one sequence at a time.

    Args:
        group: the question and its possible answers.
        window_frames: ``M``; a stream's answers before frame ``M`` are warm-up.
    """

    group: LabelGroup
    window_frames: int = 1
    pairs: Counter[tuple[int, int]] = field(default_factory=Counter)
    """How often a class (first) was answered by another or the same (second)."""
    top5_right: int = 0
    loss_sum: float = 0.0
    """Of -log of the score that each sequence's own class got."""
    streams: int = 0
    end_right: int = 0
    frames_right: int = 0
    frames_scored: int = 0
    near_right: int = 0
    far_right: int = 0
    long_sequences: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, scores: Scores, truths: Numbers, *, per_frame: bool) -> None:
        """Count one sequence.

        Its answer is the class with the highest mean score: over the clips, or over the frames of
        a stream that have a label and follow the warm-up. Its truth is its last label.

        Args:
            name: for the list of errors.
            scores: ``(T, C)``, each row adding up to one.
            truths: ``(frames,)`` class numbers or ``IGNORE``; a sequence of none is passed over.
            per_frame: whether the rows of ``scores`` are the frames that ``truths`` is about.
        """
        found = self.answer(scores, truths, per_frame=per_frame)
        if found is None:
            return
        self._add_sequence(name, *found)
        if per_frame:
            self._add_frames(scores, truths)

    def answer(
        self, scores: Scores, truths: Numbers, *, per_frame: bool
    ) -> tuple[Scores, int] | None:
        """A sequence's mean scores, ``(C,)``, and its truth; None where it has no label."""
        labelled = np.flatnonzero(truths != IGNORE)
        if not len(labelled):
            return None
        if per_frame:
            scores = scores[asked_frames(labelled, len(scores), self.window_frames)]
        return scores.mean(axis=0), int(truths[labelled[-1]])

    def merge(self, other: ExclusiveTally) -> None:
        """Add what another tally of the same group has counted."""
        self.pairs.update(other.pairs)
        self.errors += other.errors
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def sequences(self) -> int:
        """How many were counted."""
        return self.pairs.total()

    @property
    def score(self) -> float:
        """Share of sequences answered right: top-1."""
        right = sum(count for (truth, answer), count in self.pairs.items() if truth == answer)
        return share(right, self.sequences)

    @property
    def confusion(self) -> Counts:
        """The confusion matrix, ``(C, C)``."""
        size = len(self.group.labels)
        matrix = np.zeros((size, size), dtype=np.int64)
        for place, count in self.pairs.items():
            matrix[place] = count
        return matrix

    def rows(self) -> list[ClassRow]:
        """Each class that occurs, in the order of the labels."""
        answers: dict[int, Counter[int]] = {}
        for (truth, answer), count in self.pairs.items():
            answers.setdefault(truth, Counter())[answer] += count
        return [self._row(truth, answers[truth]) for truth in sorted(answers)]

    def summary(self) -> dict[str, Any]:
        """The figures, as JSON values, each beside what a constant answer gets."""
        rows = self.rows()
        sizes = sorted((row.sequences for row in rows), reverse=True)
        recalls = [row.right / row.sequences for row in rows]
        figures: dict[str, Any] = {"top1": _rounded(self.score, 1)}
        if len(self.group.labels) > _TOP:
            figures["top5"] = _rounded(self.top5_right, self.sequences)
        figures["mean_class"] = _rounded(sum(recalls), len(recalls))
        figures["majority"] = _rounded(sum(sizes[:1]), self.sequences)
        if len(self.group.labels) > _TOP:
            figures["majority_top5"] = _rounded(sum(sizes[:_TOP]), self.sequences)
        figures["majority_mean_class"] = _rounded(1, len(rows))
        figures["loss"] = _rounded(self.loss_sum, self.sequences)
        figures["sequences"] = self.sequences
        return figures | self._stream_figures()

    def details(self) -> dict[str, Any]:
        """Every class and every error, as JSON values."""
        if len(self.group.labels) <= _MATRIX_CLASSES:
            confusion = {"confusion": self.confusion.tolist()}
        else:
            confusion = {"confusion_pairs": [[*key, n] for key, n in sorted(self.pairs.items())]}
        return {
            "per_class": {row.label: _rounded(row.right, row.sequences) for row in self.rows()},
            "per_class_sequences": {row.label: row.sequences for row in self.rows()},
            "labels": list(self.group.labels),
            **confusion,
            "errors": sorted(self.errors, key=lambda error: str(error["name"])),
        }

    def _add_sequence(self, name: str, scores: Scores, truth: int) -> None:
        """Count one answer, ``(C,)`` scores."""
        answer = int(scores.argmax())
        self.pairs[truth, answer] += 1
        # Of equal scores the first comes first, as argmax has it.
        before = (scores > scores[truth]).sum() + (scores[:truth] == scores[truth]).sum()
        self.top5_right += int(before < _TOP)
        self.loss_sum -= math.log(max(float(scores[truth]), _LEAST_SCORE))
        if answer != truth:
            wrong = {"name": name, "label": self.group.labels[truth]}
            wrong |= {"answer": self.group.labels[answer]}
            self.errors.append({**wrong, "score": round(float(scores[answer]), 4)})

    def _add_frames(self, scores: Scores, truths: Numbers) -> None:
        labelled = np.flatnonzero(truths != IGNORE)
        asked = asked_frames(labelled, len(scores), self.window_frames)
        right = scores.argmax(axis=-1) == truths
        self.streams += 1
        self.end_right += int(right[labelled[-1]])
        self.frames_right += int(right[asked].sum())
        self.frames_scored += len(asked)
        self._add_drift(right, truths)

    def _add_drift(self, right: npt.NDArray[np.bool_], truths: Numbers) -> None:
        """Compare the first full window with ten windows in, where both have a label."""
        near, far = self.window_frames - 1, _FAR_WINDOWS * self.window_frames - 1
        if self.window_frames == 1 or len(truths) <= far or IGNORE in truths[[near, far]]:
            return
        self.long_sequences += 1
        self.near_right += int(right[near])
        self.far_right += int(right[far])

    def _stream_figures(self) -> dict[str, Any]:
        figures: dict[str, Any] = {}
        if self.streams:
            figures["frame_top1"] = _rounded(self.frames_right, self.frames_scored)
            figures["end_top1"] = _rounded(self.end_right, self.streams)
        if self.long_sequences:
            figures["first_window_top1"] = _rounded(self.near_right, self.long_sequences)
            figures["ten_windows_top1"] = _rounded(self.far_right, self.long_sequences)
            figures["long_sequences"] = self.long_sequences
        if self._note():
            figures["note"] = self._note()
        return figures

    def _note(self) -> str:
        """What to know of a stream that forgets: ten windows in, over a point worse; else empty."""
        lost = self.near_right - self.far_right
        if 100 * lost <= self.long_sequences:
            return ""
        return (
            f"ten windows in is {100 * lost / self.long_sequences:.1f} points worse than the "
            f"first window ({self.far_right} right instead of {self.near_right}, of "
            f"{self.long_sequences}); longer training clips (input.frames) may help"
        )

    def _row(self, truth: int, answers: Counter[int]) -> ClassRow:
        wrong = Counter({answer: n for answer, n in answers.items() if answer != truth})
        most = wrong.most_common(1)
        labels = self.group.labels
        confused_with, confused = (labels[most[0][0]], most[0][1]) if most else ("", 0)
        return ClassRow(labels[truth], answers.total(), answers[truth], confused_with, confused)


_SUMMED = (
    "top5_right",
    "loss_sum",
    "streams",
    "end_right",
    "frames_right",
    "frames_scored",
    "near_right",
    "far_right",
    "long_sequences",
)


def share(part: float, whole: float) -> float:
    """``part`` of ``whole``; 0 of nothing."""
    return part / whole if whole else 0.0


def _rounded(part: float, whole: float) -> float:
    return round(share(part, whole), 4)
