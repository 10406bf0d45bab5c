from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effvit_edge.core.card import LabelGroup
from effvit_edge.train.metrics import ExclusiveTally
from effvit_edge.train.plots import confusion, curves, draw_curves, read_picture

PNG = b"\x89PNG"


def journal(steps: int) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = [{"step": 0, "start": "from nothing"}]
    for step in range(1, steps + 1):
        loss = None if step == 3 else 2.0 / step
        record = {"step": step, "lr": 0.1, "loss": loss, "accuracy": 0.5, "grad_norm": 3.0}
        records.append(record)
        if step % 10 == 0:
            record |= {"samples_per_second": 8.0, "data_wait_share": 0.25}
            records.append({"step": step, "eval": {"top1": step / 100, "sequences": 4}})
    return records


def test_curves_show_what_the_journal_has() -> None:
    loss, accuracy, _, _, speed, wait = curves(journal(100), "run").axes
    raw, smooth = loss.lines
    assert (len(raw.get_xdata()), raw.get_ydata()[0]) == (99, 2.0)  # one was not finite
    assert smooth.get_ydata()[0] == pytest.approx(raw.get_ydata()[:9].mean())
    evaluated = accuracy.lines[-1]
    assert list(evaluated.get_ydata()) == pytest.approx([i / 10 for i in range(1, 11)])
    assert evaluated.get_label() == "evaluation, top-1"
    assert list(speed.lines[0].get_ydata()) == [8.0] * 10
    assert list(wait.lines[0].get_ydata()) == [0.25] * 10


def test_every_label_group_has_a_curve() -> None:
    groups = {"verb": {"top1": 0.5}, "tag": {"map": 0.25}}
    figure = curves([{"step": 5, "eval": {"top1": 0.5, "groups": groups}}])
    labels = [line.get_label() for line in figure.axes[1].lines[1:]]
    assert labels == ["evaluation, verb top-1", "evaluation, tag mAP"]


def test_a_single_value_is_a_point_at_a_whole_step() -> None:
    _, _, rate, _, speed, wait = curves(journal(10)).axes
    for axes, marker in ((rate, "None"), (speed, "o"), (wait, "o")):
        (line,) = axes.lines
        assert line.get_marker() == marker
        assert all(tick == round(tick) for tick in axes.get_xticks())


@pytest.mark.parametrize("steps", [0, 1])
def test_a_run_that_has_just_begun_has_a_picture(tmp_path: Path, steps: int) -> None:
    draw_curves(journal(steps), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(PNG)
    picture = read_picture(tmp_path / "curves.png")
    assert picture.dtype == np.uint8 and picture.shape[2] == 3 and picture.max() == 255


def test_a_run_with_nothing_to_learn_has_a_picture(tmp_path: Path) -> None:
    records = [{"step": step, "loss": 0.0, "grad_norm": 0.0} for step in (1, 2)]
    draw_curves(records, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(PNG)


def test_a_confusion_picture_names_truth_and_answer() -> None:
    tally = ExclusiveTally(LabelGroup("pose", ("lotus", "tree")))
    tally.pairs.update({(0, 0): 3, (0, 1): 1, (1, 1): 2})
    (axes,) = confusion(tally, "run").axes
    assert {text.get_text(): text.get_position() for text in axes.texts} == {
        "3": (0, 0),
        "1": (1, 0),
        "2": (1, 1),
    }
    assert axes.get_title() == "run\npose: top-1 83.3% of 6"
    (image,) = axes.images
    np.testing.assert_allclose(image.get_array(), [[0.75, 0.25], [0, 1]])


def test_of_many_classes_the_most_confused_are_drawn() -> None:
    tally = ExclusiveTally(LabelGroup("class", tuple(f"c{i}" for i in range(3806))))
    for number in range(0, 3806, 2):
        tally.pairs[number, number] = 9
    tally.pairs[3000, 3001] = 2
    (axes,) = confusion(tally).axes
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert len(labels) == 40
    assert {"c3000", "c3001"} <= set(labels)
    assert "only the 40 of 3806 classes with the most wrong answers" in axes.get_title()
