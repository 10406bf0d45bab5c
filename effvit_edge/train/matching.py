"""A dataset's targets in a model's numbers: groups and classes are the same if their names are."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np

from effvit_edge.core.card import LabelGroup
from effvit_edge.core.errors import InputError
from effvit_edge.data.types import IGNORE, Targets

_NAMED = 12


class Matching:
    """From the data's class numbers to the model's.

    A group of the model that the data has no labels of is not asked about. Where each has a single
    group, it is the same whatever it is called.

    Args:
        model: groups of the model, in the order of its logits.
        data: groups of the data, in the order of its targets.

    Raises:
        InputError: no group in common; a class that the model does not know; labels that exclude
            each other in one and not in the other.
    """

    def __init__(self, model: Sequence[LabelGroup], data: Sequence[LabelGroup]) -> None:
        self._pairs = _pairs(model, data)
        self._groups = len(model)
        self._classes = len(model[0].labels)
        self._multi_label = not model[0].exclusive
        self._numbers = [_numbers(model[own], data[theirs]) for own, theirs in self._pairs]

    def __call__(self, targets: Targets) -> Targets:
        """``(T, G)`` of the data to ``(T, G)`` of the model; multi-label ``(T, C)`` likewise."""
        if self._multi_label:
            return self._columns(targets)
        found = np.full((len(targets), self._groups), IGNORE, dtype=np.int64)
        for (own, theirs), numbers in zip(self._pairs, self._numbers, strict=True):
            column = targets[:, theirs]
            found[:, own] = np.where(column == IGNORE, IGNORE, numbers[column])
        return found

    def _columns(self, targets: Targets) -> Targets:
        """The columns of a multi-label group, zeros for classes that only the model knows."""
        found = np.zeros((len(targets), self._classes), dtype=np.int64)
        found[:, self._numbers[0]] = targets
        found[(targets == IGNORE).any(axis=1)] = IGNORE
        return found


def _pairs(model: Sequence[LabelGroup], data: Sequence[LabelGroup]) -> list[tuple[int, int]]:
    """Places of the groups in common, the model's and the data's."""
    if len(model) == len(data) == 1:
        return [(0, 0)]
    places = {group.name: place for place, group in enumerate(data)}
    pairs = [(own, places[group.name]) for own, group in enumerate(model) if group.name in places]
    if not pairs:
        raise InputError(
            f"The model answers {_names(model)}, and the data has labels of {_names(data)}: "
            "nothing in common. Evaluate on data of the kind that the model was trained on."
        )
    return pairs


def _numbers(model: LabelGroup, data: LabelGroup) -> Targets:
    """The model's number of each of the data's classes, ``(classes,)``."""
    if model.exclusive != data.exclusive:
        raise InputError(
            f"The model's '{model.name}' has {_kind(model)}, and the data's '{data.name}' has "
            f"{_kind(data)}. Evaluate on data of the kind that the model was trained on."
        )
    number = {label: i for i, label in enumerate(model.labels)}
    for label in data.labels:
        if label not in number:
            near = difflib.get_close_matches(label, model.labels, n=1)
            hint = f" Did the list mean '{near[0]}'?" if near else ""
            raise InputError(
                f"The data has the class '{label}', which this model does not know; "
                f"it knows {_some(model.labels)}.{hint} Evaluate on data with the model's classes."
            )
    return np.array([number[label] for label in data.labels], dtype=np.int64)


def _kind(group: LabelGroup) -> str:
    return "one right label" if group.exclusive else "any number of right labels"


def _names(groups: Sequence[LabelGroup]) -> str:
    return ", ".join(group.name for group in groups)


def _some(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
    return ", ".join(labels[:_NAMED]) + more
