"""How far the answers of one artifact are from those of the artifact it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from effvit_edge.core.card import LabelGroup

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Comparison:
    """How far one artifact's logits are from its parent's."""

    max_abs: float
    mean_abs: float
    cosine: float
    """The least over all answers."""
    top1_agreement: float
    """Share of answers whose best label is the parent's, over all label groups."""
    answers: int


@dataclass(frozen=True)
class Accuracy:
    """The share of labelled sequences that are told right, before and after a conversion."""

    before: float
    after: float

    @property
    def loss(self) -> float:
        """How much less the second is; negative where it is more."""
        return self.before - self.after


def compare(parent: Logits, child: Logits, groups: Sequence[LabelGroup]) -> Comparison:
    """Compare logits ``(..., classes)``, group of labels by group of labels."""
    a, b = (x.reshape(-1, x.shape[-1]).astype(np.float64) for x in (parent, child))
    difference = np.abs(a - b)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = (a * b).sum(1) / np.maximum(norms, np.finfo(np.float64).tiny)
    borders = np.cumsum([len(group.labels) for group in groups])[:-1]
    same = [
        p.argmax(1) == c.argmax(1)
        for p, c in zip(np.split(a, borders, 1), np.split(b, borders, 1), strict=True)
    ]
    return Comparison(
        max_abs=float(difference.max()),
        mean_abs=float(difference.mean()),
        cosine=float(cosines.min()),
        top1_agreement=float(np.mean(same)),
        answers=len(a),
    )
