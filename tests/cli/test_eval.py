from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from effvit_edge.cli.eval_text import tables
from effvit_edge.cli.main import main
from effvit_edge.core.card import LabelGroup, Mode
from effvit_edge.train import build
from effvit_edge.train.loop import Trainer
from effvit_edge.train.metrics import Report
from tests.tiny_models import LABELS, tiny_card, write_model
from tests.unit.train.recipes import tiny_recipe
from tests.videos import write_video

COLOURS = {"dark": (10, 10, 10), "light": (240, 240, 240), "reddish": (230, 20, 20)}


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two one-second videos of each class, and a list of them."""
    lines = ["path,label,fold"]
    for label, colour in COLOURS.items():
        for number in range(2):
            path = tmp_path / "clips" / label / f"{number}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(path, [np.full((64, 96, 3), colour, np.uint8)] * 25)
            lines.append(f"{label}/{number}.mp4,{label},{number}")
    (tmp_path / "clips" / "clips.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path / "clips"


def model(folder: Path, mode: Mode) -> Path:
    return write_model(folder / f"{mode}.onnx", tiny_card(mode))


def evaluated(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    assert main(["eval", *map(str, arguments), "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


@pytest.mark.parametrize(
    ("mode", "source", "count"),
    [("stream", "", 6), ("clip", "", 6), ("stream", "clips.csv", 3)],
    ids=["stream", "clip", "csv"],
)
def test_an_exported_model_is_evaluated_without_torch_and_yaml(
    clips: Path, tmp_path: Path, mode: Mode, source: str, count: int
) -> None:
    script = """
import sys
for name in ("torch", "torchvision", "yaml", "safetensors"):
    sys.modules[name] = None
from effvit_edge.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
    where = ["--where", "fold=1"] if source else []
    arguments = ["eval", str(model(tmp_path, mode)), "--data", str(clips / source), *where]
    arguments.append("--json")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["top1"], report["sequences"]) == (1.0, count)
    assert report["views"] == (None if mode == "stream" else [4, 1])
    assert ("frame_top1" in report) is (mode == "stream")


def test_what_is_read_is_a_table(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clips / "light" / "1.mp4").write_text("no film", encoding="utf-8")
    assert main(["eval", str(model(tmp_path, "stream")), "--data", str(clips)]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0].endswith(f"on 5 sequences of {clips}, frame by frame")
    assert "top-1                         100.0%" in lines
    assert "  always the commonest class   40.0%" in lines
    assert "light            1      1  100.0%" in lines
    assert "1.mp4" in said.err


def test_a_recipe_says_what_to_evaluate_on(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "model: {preset: efficientvit3d_b0}\n"
        "input: {height: 224, width: 224, fps: 30, frames: 8}\n"
        "data: {kind: videos, root: elsewhere, set: csv, annotations: clips.csv,\n"
        "  train: [fold=0], eval: [fold=1]}\n"
        "optim: {lr: 0.1, batch_size: 1, steps: 1}\n"
        "eval: {clips: 2}\n",
        encoding="utf-8",
    )
    change = ["--set", f"data.root={clips}"]
    report = evaluated(capsys, model(tmp_path, "clip"), "--data", recipe, *change)
    assert (report["top1"], report["sequences"]) == (1.0, 3)
    assert report["views"] == [2, 1]


def test_a_prepared_folder_is_evaluated_as_it_was_split(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = Path(__file__).parents[2] / "models" / "folder.yaml"
    prepared = tmp_path / "prepared"
    small = "input={height: 32, width: 32, fps: 10, frames: 24}"
    arguments = ["--set", f"data.root={clips}", "--set", small, "--output", str(prepared)]
    assert main(["prepare", str(recipe), *arguments, "--workers", "1", "--json"]) == 0
    capsys.readouterr()
    report = evaluated(capsys, model(tmp_path, "stream"), "--data", prepared)
    assert (report["top1"], report["sequences"]) == (1.0, 3)


def test_a_stream_can_be_shown_views_of_clips(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = model(tmp_path, "stream")
    options = ["--protocol", "views", "--clips", "2"]
    report = evaluated(capsys, artifact, "--data", clips, *options)
    assert report["views"] == [2, 1]
    assert report["top1"] == 1.0
    assert "frame_top1" not in report


@pytest.mark.parametrize(
    ("mode", "options", "sentence"),
    [
        ("clip", ["--protocol", "stream"], "answers once a clip of 4 frames, not frame by frame"),
        ("stream", ["--clips", "2"], "--clips and --crops are for views"),
        ("stream", ["--set", "data.root=x"], "--set changes keys of a recipe"),
        ("clip", ["--crops", "3"], "resize squash every crop shows the whole frame"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    clips: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    mode: Mode,
    options: list[str],
    sentence: str,
) -> None:
    assert main(["eval", str(model(tmp_path, mode)), "--data", str(clips), *options]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("data", ["motion", "clips"])
def test_a_filter_without_a_csv_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data: str
) -> None:
    monkeypatch.chdir(tmp_path)
    artifact = model(tmp_path, "stream")
    assert main(["eval", str(artifact), "--data", data, "--where", "split=test"]) == 2
    assert f"--where chooses rows of a CSV file, and {data} is none" in capsys.readouterr().err


def test_rows_of_a_csv_are_chosen(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = model(tmp_path, "stream")
    report = evaluated(capsys, artifact, "--data", clips / "clips.csv", "--where", "fold=1")
    assert report["sequences"] == 3
    assert report["data"] == {"source": str(clips / "clips.csv"), "filters": ["fold=1"]}
    assert (report["model"]["artifact"], report["model"]["sha256"]) == (
        str(artifact),
        hashlib.sha256(artifact.read_bytes()).hexdigest(),
    )


def test_motion_is_refused_for_a_model_that_is_not_square(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    square = tiny_card("stream")
    wide = replace(square, preprocess=replace(square.preprocess, width=16))
    artifact = write_model(tmp_path / "m.onnx", wide)
    assert main(["eval", str(artifact), "--data", "motion"]) == 2
    assert "rendered square, and the model takes 8x16" in capsys.readouterr().err


def test_a_checkpoint_is_evaluated_on_the_device_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Trainer(tiny_recipe(tmp_path))._write("last")
    asked: list[str] = []

    def choose(name: str, *, option: str) -> torch.device:
        asked.append(name)
        return torch.device("cpu")

    monkeypatch.setattr(build, "choose_device", choose)
    data = ("--data", "motion", "--count", "1")
    assert evaluated(capsys, tmp_path, *data)["sequences"] == 1
    assert evaluated(capsys, tmp_path, *data, "--provider", "cuda")["sequences"] == 1
    assert asked == ["auto", "cuda"]
    assert main(["eval", str(tmp_path), *data, "--provider", "tensorrt"]) == 2
    assert "--provider tensorrt runs exported models" in capsys.readouterr().err


def test_groups_stand_side_by_side() -> None:
    groups = (LabelGroup("action", ("take cup", "put cup")), LabelGroup("noun", ("cup", "pan")))
    report = Report(groups)
    logits = np.array([[2.0, 1.0, 3.0, 0.0]], np.float32)
    report.add("x", logits, np.array([[0, 1]]), per_frame=False)
    lines = tables(report).splitlines()
    assert lines[0].split() == ["action", "noun", "verb", "of", "action", "noun", "of", "action"]
    assert lines[1].split() == ["top-1", "100.0%", "0.0%", "100.0%", "100.0%"]
    assert "pan            1      0   0.0%  cup (1)" in lines


def test_of_many_classes_the_worst_are_shown() -> None:
    report = Report((LabelGroup("class", tuple(f"c{i}" for i in range(60))),))
    for truth in range(60):
        logits = np.zeros((1, 60), np.float32)
        logits[0, truth if truth < 59 else 0] = 1.0
        report.add("x", logits, np.array([[truth]]), per_frame=False)
    text = tables(report)
    assert "c59            1      0    0.0%  c0 (1)" in text
    assert "the 40 of 60 classes with the most wrong answers" in text
    assert text.count("\nc") == 1 + 40  # "class" is the header


def test_labels_that_can_apply_at_once_are_listed_with_their_precision() -> None:
    report = Report((LabelGroup("tag", LABELS, exclusive=False),))
    report.add(
        "x", np.array([[1.0, -1.0, 0.0]], np.float32), np.array([[1, 0, 0]]), per_frame=False
    )
    assert "dark           1             100.0%" in tables(report)


def test_data_that_is_not_there_is_named(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = str(model(tmp_path, "stream"))
    assert main(["eval", artifact, "--data", str(tmp_path / "gone")]) == 2
    assert f"--data {tmp_path / 'gone'} does not exist" in capsys.readouterr().err
    video = clips / "dark" / "0.mp4"
    assert main(["eval", artifact, "--data", str(video)]) == 2
    assert "is not a CSV file or recipe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "said"),
    [("file", "is a file. Give the name of a folder"), ("file/deeper", "lies in a file")],
)
def test_an_output_that_is_no_folder_is_told_before_the_work(
    name: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    _refuse_to_begin(monkeypatch)
    arguments = ["eval", str(model(tmp_path, "stream")), "--data", "motion"]
    assert main([*arguments, "--output", str(tmp_path / name)]) == 2
    assert f"--output {tmp_path / name} {said}" in capsys.readouterr().err
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a folder that nobody can write")
def test_an_output_that_cannot_be_written_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In /sys the kernel refuses also the superuser."""
    _refuse_to_begin(monkeypatch)
    arguments = ["eval", str(model(tmp_path, "stream")), "--data", "motion"]
    assert main([*arguments, "--output", "/sys/kernel/new"]) == 3
    assert "--output /sys/kernel/new cannot be written" in capsys.readouterr().err


def _refuse_to_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(*arguments: Any) -> None:
        raise AssertionError("the work was begun")

    monkeypatch.setattr("effvit_edge.cli.session.open_model", begin)


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["table", "json"])
def test_a_write_that_fails_takes_no_figures_along(
    form: list[str],
    clips: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "evaluation.json")

    monkeypatch.setattr("effvit_edge.train.evaluate.write_report", refuse)
    arguments = ["eval", str(model(tmp_path, "stream")), "--data", str(clips), *form]
    assert main([*arguments, "--output", str(tmp_path / "report")]) == 1
    said = capsys.readouterr()
    assert ('"top1": 1.0' if form else "top-1                         100.0%") in said.out
    assert "No space left on device: evaluation.json" in said.err


def test_a_report_is_written_into_a_new_folder(clips: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "report"
    arguments = ["eval", str(model(tmp_path, "stream")), "--data", str(clips)]
    assert main([*arguments, "--output", str(folder)]) == 0
    assert json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))["top1"] == 1.0


@pytest.mark.parametrize(
    ("option", "value"), [("--count", "-3"), ("--count", "0"), ("--seed", "-5")]
)
def test_a_number_of_rendered_motion_that_makes_no_sense_is_refused(
    option: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = str(model(tmp_path, "stream"))
    assert main(["eval", artifact, "--data", "motion", option, value]) == 2
    assert f"Invalid value for '{option}'" in capsys.readouterr().err
