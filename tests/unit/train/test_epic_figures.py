"""The floors of EPIC-KITCHENS-100, out of its published lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from effvit_edge.data.sets import open_part
from effvit_edge.train.metrics import Report


def test_always_answering_the_commonest_class(test_data: Path) -> None:
    lists = test_data / "annotations" / "epic100"
    heads = {"heads": ["verb", "noun", "action"], "train_list": "EPIC_100_train_reduced.csv"}
    validation = open_part("epic100", lists, lists, "eval", options=heads)
    report = Report(validation.groups)
    logits = np.zeros((1, sum(len(group.labels) for group in validation.groups)), np.float32)
    for segment in validation.segments:
        report.add(segment.name, logits, np.array([segment.targets]), per_frame=False)
    figures = report.summary()
    floors = {name: own["majority"] for name, own in figures["groups"].items()}
    # Published of the source system's data: "take" 20.0 %, nouns 4.4 %, actions 2.3 %.
    assert floors == pytest.approx({"verb": 0.200, "noun": 0.044, "action": 0.023}, abs=6e-4)
    marginal = {name: own["majority"] for name, own in figures["marginal"].items()}
    assert marginal == {name: floors[name] for name in ("verb", "noun")}
    sizes = {group.name: len(group.labels) for group in validation.groups}
    assert sizes == {"verb": 97, "noun": 300, "action": 3806}
