from __future__ import annotations

import numpy as np
import pytest

from effvit_edge.core.card import LabelGroup
from effvit_edge.core.errors import InputError
from effvit_edge.data.types import IGNORE
from effvit_edge.train.matching import Matching

VERBS = LabelGroup("verb", ("take", "put", "open"))
NOUNS = LabelGroup("noun", ("cup", "pan"))
TAGS = LabelGroup("tag", ("fast", "slow", "near"), exclusive=False)


def test_classes_are_matched_by_name_within_their_group() -> None:
    data = (LabelGroup("noun", ("pan", "cup")), LabelGroup("verb", ("open", "take")))
    matching = Matching((VERBS, NOUNS), data)
    targets = np.array([[0, 0], [1, 1], [IGNORE, 0]])
    assert matching(targets).tolist() == [[2, 1], [0, 0], [2, IGNORE]]


def test_a_group_that_the_data_lacks_is_not_asked_about() -> None:
    matching = Matching((VERBS, NOUNS), (LabelGroup("noun", ("pan",)),))
    assert matching(np.array([[0]])).tolist() == [[IGNORE, 1]]


def test_single_groups_are_the_same_whatever_they_are_called() -> None:
    matching = Matching((VERBS,), (LabelGroup("class", ("open",)),))
    assert matching(np.array([[0], [IGNORE]])).tolist() == [[2], [IGNORE]]


def test_labels_that_can_apply_at_once_are_matched_column_by_column() -> None:
    data = (LabelGroup("tag", ("near", "fast"), exclusive=False),)
    targets = np.array([[1, 0], [1, 1], [IGNORE, IGNORE]])
    expected = [[0, 0, 1], [1, 0, 1], [IGNORE] * 3]
    assert Matching((TAGS,), data)(targets).tolist() == expected


@pytest.mark.parametrize(
    ("model", "data", "sentence"),
    [
        ((VERBS,), (LabelGroup("verb", ("taek",)),), "'taek', which.* list mean 'take'"),
        ((VERBS, NOUNS), (LabelGroup("tool", ("saw",)),), "answers verb, noun.*labels of tool"),
        ((VERBS,), (TAGS,), "'verb' has one right label.*'tag' has any number of right labels"),
    ],
)
def test_what_does_not_fit_is_refused(
    model: tuple[LabelGroup, ...], data: tuple[LabelGroup, ...], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        Matching(model, data)
