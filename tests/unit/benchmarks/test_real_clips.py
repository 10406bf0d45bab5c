from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import benchmarks
from benchmarks.asl20 import __main__ as asl20
from benchmarks.basketball5 import __main__ as basketball5
from benchmarks.training import Outcome, draw_confusions, draw_curves, summary
from benchmarks.yoga6 import __main__ as yoga6
from effvit_edge.train.recipe import load_recipe

BENCHMARKS = Path(benchmarks.__file__).parent


def newest(name: str) -> dict[str, Any]:
    found = max((BENCHMARKS / "results" / name).glob("*-b0.json"))
    result: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
    return result


def told(name: str) -> list[float]:
    """The bold figures of a README."""
    text = (BENCHMARKS / name / "README.md").read_text(encoding="utf-8")
    return [float(figure) for figure in re.findall(r"\*\*(\.\d+|1\.0+)\*\*", text)]


def outcome(confusion: list[list[int]], errors: list[dict[str, str]]) -> Outcome:
    counts = np.array(confusion)
    top1 = float(counts.trace() / counts.sum())
    figures = {"top1": top1, "confusion": confusion, "labels": ["up", "down"], "errors": errors}
    return Outcome(figures, [(20, 1.0), (40, 0.5)], [(20, 0.5), (40, top1)])


def test_yoga6_is_recorded_above_ninety_percent_and_its_floors() -> None:
    result = newest("yoga6")
    causal = result["causal, motion first"]  # the one that inner folds chose
    assert {(run["fold"], run["seed"]) for run in causal["runs"]} == {
        (fold, seed) for fold in yoga6.FOLDS for seed in (0, 1)
    }
    top1 = [run["top1"] for run in causal["runs"]]
    assert causal["mean_top1"] == pytest.approx(np.mean(top1), abs=1e-4)
    assert causal["mean_top1"] >= 0.90
    assert causal["mean_top1"] > max(result["floors"].values())
    assert causal["mean_top1"] == pytest.approx(told("yoga6")[0], abs=5e-4)


def test_basketball5_is_recorded_above_every_floor() -> None:
    result = newest("basketball5")
    assert len(result["runs"]) >= 3
    assert result["mean_top1"] > max(result["floors"].values())
    assert result["mean_top1"] == pytest.approx(told("basketball5")[0], abs=5e-4)


def test_asl20_is_recorded_as_learnt_by_heart() -> None:
    assert newest("asl20")["top1"] == 1.0


def test_the_image_network_is_trained_as_the_network_beside_it() -> None:
    recipes = [yoga6.RECIPES[name] for name in ("causal, motion first", "per frame")]
    video, image = (load_recipe(BENCHMARKS.parent / path) for path in recipes)
    assert video.model.preset.replace("3d", "") == image.model.preset
    for section in ("input", "data", "augment", "optim"):
        assert getattr(video, section) == getattr(image, section)


def test_a_video_missed_by_two_seeds_comes_first() -> None:
    wrong = {"label": "up", "answer": "down"}
    first = outcome([[1, 2], [0, 1]], [{"name": "a", **wrong}, {"name": "b", **wrong}])
    second = outcome([[2, 1], [0, 1]], [{"name": "b", **wrong}])
    assert yoga6.recurring_errors([first, second]) == [
        {"video": "b", "answers": {"down": 2}},
        {"video": "a", "answers": {"down": 1}},
    ]


def test_the_summary_of_two_runs() -> None:
    found = summary([outcome([[1, 1], [0, 2]], []), outcome([[2, 0], [2, 0]], [])])
    assert (found["lowest_top1"], found["mean_top1"], found["highest_top1"]) == (0.5, 0.625, 0.75)
    assert found["confusion"] == [[3, 1], [2, 2]]


def test_pictures_are_drawn(tmp_path: Path) -> None:
    models = {"causal": [outcome([[1, 1], [0, 2]], [])], "per frame": [outcome([[1, 0]] * 2, [])]}
    draw_curves(models, {"majority": 0.25}, tmp_path / "curves.png", "title")
    draw_confusions(models, tmp_path / "confusion.png", "title")
    for path in tmp_path.iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")


def test_basketball_validation_is_the_end_of_each_class(tmp_path: Path) -> None:
    rows = [(f"a{i}", "pass", "train") for i in range(10)] + [("b", "pass", "test")]
    with (tmp_path / "clips.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split"), *rows])
    basketball5.write_parts(tmp_path, tmp_path / "parts.csv")
    with (tmp_path / "parts.csv").open(encoding="utf-8", newline="") as file:
        parts = {row["path"]: row["split"] for row in csv.DictReader(file)}
    assert parts == {f"a{i}": "fit" for i in range(8)} | {
        "a8": "validation",
        "a9": "validation",
        "b": "test",
    }


@pytest.mark.slow
def test_twenty_real_clips_are_learnt_by_heart(test_data: Path, tmp_path: Path) -> None:
    arguments = ["--data", str(test_data), "--runs", str(tmp_path / "runs")]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(BENCHMARKS.parent)
        found = CliRunner().invoke(asl20.main, [*arguments, "--output", str(tmp_path / "results")])
    assert found.exit_code == 0, found.output
