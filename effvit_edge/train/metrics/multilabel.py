"""Answers to a question with any number of right answers.

Notation: T frames or clips, N sequences, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from effvit_edge.core.card import LabelGroup
from effvit_edge.data.types import IGNORE
from effvit_edge.train.metrics.scores import Flags, Scores, asked_frames, average_precision


@dataclass
class MultiLabelTally:
    """Scores and truths, kept one row a sequence.

    The figure is mAP: the mean over the classes that occur of each one's average precision over
    the sequences.

    Args:
        group: the question and its possible answers.
        window_frames: ``M``; a stream's answers before frame ``M`` are warm-up.
    """

    group: LabelGroup
    window_frames: int = 1
    _scores: list[Scores] = field(default_factory=list)
    _end_scores: list[Scores] = field(default_factory=list)
    _truths: list[Flags] = field(default_factory=list)

    def add(
        self, name: str, scores: Scores, truths: npt.NDArray[np.int64], *, per_frame: bool
    ) -> None:
        """Keep one sequence: the mean of its scores, and for a stream those at its end.

        Args:
            name: of the sequence.
            scores: ``(T, C)``, each number in 0..1.
            truths: ``(frames, C)`` zeros and ones, or ``IGNORE``; the last labelled row counts.
            per_frame: whether the rows of ``scores`` are the frames that ``truths`` is about.
        """
        labelled = np.flatnonzero((truths != IGNORE).all(axis=-1))
        if not len(labelled):
            return
        self._truths.append(truths[labelled[-1]] == 1)
        if not per_frame:
            self._scores.append(scores.mean(axis=0))
            return
        asked = asked_frames(labelled, len(scores), self.window_frames)
        self._scores.append(scores[asked].mean(axis=0))
        self._end_scores.append(scores[labelled[-1]])

    def merge(self, other: MultiLabelTally) -> None:
        """Add what another tally of the same group has kept."""
        self._scores += other._scores
        self._end_scores += other._end_scores
        self._truths += other._truths

    @property
    def sequences(self) -> int:
        """How many were kept."""
        return len(self._truths)

    @property
    def score(self) -> float:
        """The mAP."""
        return self._mean_precision(self._scores)

    def summary(self) -> dict[str, Any]:
        """The figures, as JSON values, beside what equal scores for all sequences get."""
        truths = np.array(self._truths)
        occurring = truths.mean(axis=0)[truths.any(axis=0)] if len(truths) else np.zeros(0)
        figures: dict[str, Any] = {
            "map": round(self.score, 4),
            "prevalence_map": round(float(occurring.mean()), 4) if len(occurring) else 0.0,
            "sequences": self.sequences,
        }
        if self._end_scores:
            figures["end_map"] = round(self._mean_precision(self._end_scores), 4)
        return figures

    def details(self) -> dict[str, Any]:
        """Every class, as JSON values: average precision, and how many sequences have it."""
        found = self._precisions(self._scores)
        labels = self.group.labels
        counts = np.array(self._truths).sum(axis=0)
        return {
            "per_class": {labels[i]: round(value, 4) for i, value in found.items()},
            "per_class_sequences": {labels[i]: int(counts[i]) for i in found},
            "labels": list(labels),
        }

    def _mean_precision(self, scores: list[Scores]) -> float:
        found = self._precisions(scores)
        return sum(found.values()) / len(found) if found else 0.0

    def _precisions(self, scores: list[Scores]) -> dict[int, float]:
        """Average precision of each class that occurs."""
        if not scores:
            return {}
        table, truths = np.array(scores), np.array(self._truths)  # (N, C) both
        occurring = np.flatnonzero(truths.any(axis=0)).tolist()
        return {i: average_precision(table[:, i], truths[:, i]) for i in occurring}
