"""Verbs and nouns out of the scores of actions, as EPIC-KITCHENS scores them.

An action's label is its verb's key, a space and its noun's key. Notation: C actions, K keys.
"""

from __future__ import annotations

import numpy as np

from effvit_edge.core.card import LabelGroup
from effvit_edge.train.metrics.exclusive import ExclusiveTally
from effvit_edge.train.metrics.scores import Scores

ACTION = "action"


class Marginal:
    """One part of every action: its verb (0) or its noun (1).

    Args:
        actions: the group of actions.
        part: which part.
        name: of the part, for the figures.
    """

    def __init__(self, actions: LabelGroup, part: int, name: str) -> None:
        parts = [label.split(" ", 1)[part] for label in actions.labels]
        keys = tuple(dict.fromkeys(parts))
        number = {key: i for i, key in enumerate(keys)}
        self.tally = ExclusiveTally(LabelGroup(name, keys))
        self._numbers = np.array([number[key] for key in parts], dtype=np.int64)

    def add(self, name: str, scores: Scores, truth: int) -> None:
        """Count one sequence by the summed scores of the actions with each key.

        Args:
            name: for the list of errors.
            scores: ``(C,)``, adding up to one.
            truth: number of the right action.
        """
        sums = np.bincount(self._numbers, weights=scores).astype(np.float32)  # (K,)
        self.tally.add(name, sums[None], self._numbers[[truth]], per_frame=False)


def marginals(group: LabelGroup) -> tuple[Marginal, ...]:
    """Verb and noun of a group of actions; nothing of another group."""
    pairs = all(" " in label for label in group.labels)
    if group.name != ACTION or not group.exclusive or not pairs:
        return ()
    return Marginal(group, 0, "verb"), Marginal(group, 1, "noun")
