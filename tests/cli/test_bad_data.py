"""Data that cannot be trained on, as a person meets it: one sentence that says where and what."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from effvit_edge.cli.main import main
from tests.videos import write_video

RECIPE = {
    "model": {
        "preset": "efficientvit3d_b0",
        "causal": True,
        "num_frames": 2,
        "options": {"head_widths": [16, 16]},
    },
    "input": {"height": 32, "width": 32, "fps": 10, "frames": 6},
    "optim": {"lr": 0.003, "batch_size": 2, "steps": 1},
    "speed": {"workers": 0, "device": "cpu"},
    "output": {"tensorboard": False},
}
FRAME = np.full((48, 64, 3), 90, np.uint8)
Data = dict[str, Any]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of three videos of 1.2 seconds."""
    root = tmp_path_factory.mktemp("own") / "clips"
    for label in ("run", "walk"):
        (root / label).mkdir(parents=True)
        for number in range(3):
            write_video(root / label / f"{number}.mp4", [FRAME] * 12, fps=10)
    return root


@pytest.fixture
def root(videos: Path, tmp_path: Path) -> Path:
    shutil.copytree(videos, tmp_path / "clips")
    return tmp_path / "clips"


def train(root: Path, data: Data, *more: str) -> int:
    tree = {**RECIPE, "data": {"kind": "videos", "root": str(root), **data}}
    recipe = root.parent / "recipe.yaml"
    recipe.write_text(json.dumps(tree), encoding="utf-8")
    return main(["train", str(recipe), "--output", str(root.parent / "run"), *more])


def _csv(*rows: str, header: str = "path,label", encoding: str = "utf-8") -> Any:
    def spoil(root: Path) -> Data:
        (root / "list.csv").write_text("\n".join((header, *rows)) + "\n", encoding=encoding)
        return {"set": "csv", "annotations": "list.csv"}

    return spoil


def _list(text: str, **options: Any) -> Any:
    def spoil(root: Path) -> Data:
        (root / "list.txt").write_text(text, encoding="utf-8")
        (root / "classes.txt").write_text("run\nwalk\n", encoding="utf-8")
        return {"set": "list", "annotations": "list.txt", "options": options}

    return spoil


def _empty_class(root: Path) -> Data:
    (root / "jump").mkdir()
    return {}


def _missing(root: Path) -> Data:
    rows = [f"{label}/{n}.mp4,{label}" for label in ("run", "walk") for n in range(3)]
    data: Data = _csv(*rows, "walk/gone.mp4,walk")(root)
    return {**data, "eval_share": 0.3, "max_failed_share": 0.1}


def _rotten(root: Path) -> Data:
    for path in (root / "walk").iterdir():
        path.write_bytes(b"\0" * 3000)
    return {}


def _single_frames(root: Path) -> Data:
    for path in root.rglob("*.mp4"):
        write_video(path, [FRAME], fps=10)
    return {}


def _pictures(root: Path) -> Data:
    """Two folders of eight pictures; the list names ten of each."""
    lines = []
    for label in ("run", "walk"):
        for number in range(2):
            folder = root / f"{label}_{number}"
            folder.mkdir()
            for picture in range(1, 9):
                cv2.imwrite(str(folder / f"img_{picture:05d}.jpg"), FRAME)
            lines.append(f"{folder.name} 1 {10 if label == 'walk' else 8} {label}")
    (root / "list.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"set": "frames", "annotations": "list.txt", "eval_share": 0.5}


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        pytest.param(_empty_class, ("clips/jump has no videos", "add some or remove"), id="empty"),
        pytest.param(
            _csv("run/0.mp4,run", header="path,class"),
            ("list.csv has no column 'label'", "its columns are path, class"),
            id="column",
        ),
        pytest.param(
            _csv("run/0.mp4,läuft", encoding="latin-1"),
            ("list.csv is not UTF-8 text (byte ", "save it as UTF-8"),
            id="encoding",
        ),
        pytest.param(
            _csv("run/0.mp4,run", "walk/0.mp4,walk", "run/0.mp4,run"),
            ("list.csv, line 4: 'run/0.mp4' is already line 2", "remove one"),
            id="duplicate",
        ),
        pytest.param(
            _csv("run/0.mp4,run,2,1", header="path,label,start,end"),
            ("list.csv, line 2: the segment ends at 1, but begins at 2",),
            id="backwards",
        ),
        pytest.param(
            _list("run/0.mp4 0\nwalk/0.mp4 2\n", labels="classes.txt"),
            ("list.txt, line 2: class 2 is out of range", "classes.txt has 2 classes, from 0 to 1"),
            id="range",
        ),
        pytest.param(
            _missing,
            ("There is no file ", "walk/gone.mp4", "data.max_failed_share allows 10%", "Mend them"),
            id="missing",
        ),
        pytest.param(
            _rotten,
            ("mp4 cannot be opened as a video", "data.max_failed_share allows", "Mend them"),
            id="rotten",
        ),
        pytest.param(
            _single_frames,
            ("input.frames is 6, and the longest of 4 training videos", "Lower input.frames to 1"),
            id="one frame",
        ),
        pytest.param(
            _pictures,
            ("img_00010.jpg, which segment 'walk_", " 1 10' needs", "Mend them"),
            id="pictures",
        ),
    ],
)
def test_data_that_cannot_be_used_is_one_sentence(
    root: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], Data],
    parts: tuple[str, ...],
) -> None:
    assert train(root, spoil(root)) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("error: ") and said.err.count("\n") == 1
    for part in parts:
        assert part in said.err


def test_a_single_frame_among_videos_is_trained_on(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label in ("run", "walk"):
        write_video(root / label / "0.mp4", [FRAME], fps=10)
    assert train(root, {"eval_share": 0.3}) == 0
    said = capsys.readouterr()
    assert "1 step, top-1" in said.out
    assert "with 1, have fewer than input.frames, 6, at input.fps, 10" in said.err


def test_data_that_went_bad_costs_no_checkpoint(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(root, {}) == 0
    _rotten(root)
    more = ("--set", "optim.steps=2")
    assert train(root, {}, *more) == 2
    assert "already holds a run" in capsys.readouterr().err
    write_video(root / "walk" / "2.mp4", [FRAME] * 12, fps=10)
    assert main(["eval", str(root.parent / "run"), "--data", str(root), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["sequences"] == 4 and len(report["failures"]) == 2


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ("model.preset=efficientvit3d_b1", ("run was trained by another recipe", "model.preset")),
        ("model.options={head_widths: [8, 16]}", ("another recipe: model.options differs",)),
    ],
)
def test_a_run_of_another_network_is_not_resumed(
    root: Path, capsys: pytest.CaptureFixture[str], change: str, parts: tuple[str, ...]
) -> None:
    assert train(root, {}) == 0
    capsys.readouterr()
    assert train(root, {}, "--resume", "--set", change) == 2
    said = capsys.readouterr().err
    for part in (*parts, "Resume with the recipe in", "or give another --output"):
        assert part in said


def test_a_start_from_another_network_is_named(
    root: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert train(root, {}) == 0
    (tmp_path / "run").rename(tmp_path / "first")
    capsys.readouterr()
    changes = ("model.preset=efficientvit3d_b1", f"model.init={tmp_path / 'first'}")
    options = [part for change in changes for part in ("--set", change)]
    assert train(root, {}, *options) == 2
    said = capsys.readouterr().err
    assert "model.init: " in said and "is of another network" in said


def test_a_class_that_the_model_does_not_know_is_named(
    root: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert train(root, {}) == 0
    (root / "walk").rename(root / "crawl")
    capsys.readouterr()
    assert main(["eval", str(tmp_path / "run"), "--data", str(root)]) == 2
    assert "crawl" in capsys.readouterr().err
