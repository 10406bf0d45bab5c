"""Single frames of a video dataset: an image network trained, evaluated, exported and run.

By the same commands as a video network; only the recipe's preset and ``input.frames: 1`` differ.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effvit_edge.cli.main import main
from tests.videos import write_video

CLASSES = {"blue": (40, 60, 220), "green": (40, 200, 60), "red": (220, 50, 40)}
RECIPE = """
model: {preset: efficientvit_b0, options: {head_widths: [32, 32]}}
input: {height: 32, width: 32, fps: 4, frames: 1, sampling: uniform}
data: {kind: videos, set: folder, root: clips, eval_share: 0.34}
augment: {scale: [0.6, 1.0], flip: 0.5, color: 0.0, mixup: 0.2}
optim: {lr: 3.0e-3, batch_size: 6, epochs: 40, warmup_steps: 4, ema: 0.8}
eval: {clips: 2}
speed: {workers: 0, device: cpu}
output: {checkpoint_every: 100, tensorboard: false}
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three colours, which a single frame tells apart, each with a box that wanders."""
    root = tmp_path_factory.mktemp("set") / "clips"
    for label, colour in CLASSES.items():
        (root / label).mkdir(parents=True)
        for number in range(3):
            write_video(root / label / f"{number}.mp4", _frames(colour, number))
    return root


def _frames(colour: tuple[int, int, int], number: int) -> list[np.ndarray[Any, Any]]:
    frames = []
    for t in range(12):
        frame = np.full((48, 64, 3), colour, np.uint8)
        left = 4 * ((t + 3 * number) % 12)
        frame[8 + 8 * number : 24 + 8 * number, left : left + 16] = 230
        frames.append(frame)
    return frames


@pytest.fixture(scope="module")
def run(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    recipe = folder / "frames.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    output = folder / "run"
    command = ["train", str(recipe), "--set", f"data.root={clips}", "--output", str(output)]
    assert main(command) == 0
    return output


@pytest.fixture(scope="module")
def graph(run: Path) -> Path:
    path = run.parent / "frames.onnx"
    assert main(["export", str(run), "-o", str(path)]) == 0
    return path


def _json(capsys: pytest.CaptureFixture[str], *command: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*command, "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_one_frame_a_clip_learns_what_a_frame_shows(
    run: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = _json(capsys, "eval", str(run), "--data", str(clips))
    assert report["top1"] == 1.0
    card = _json(capsys, "inspect", str(run))
    assert "efficientvit_b0" in json.dumps(card)


def test_the_export_answers_as_the_checkpoint(
    run: Path, graph: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = [
        _json(capsys, "eval", str(artifact), "--data", str(clips)) for artifact in (run, graph)
    ]
    assert reports[0]["confusion"] == reports[1]["confusion"]


def test_it_labels_a_video_frame_by_frame(graph: Path, clips: Path, tmp_path: Path) -> None:
    lines = tmp_path / "labels.jsonl"
    video = clips / "green" / "1.mp4"
    command = ["label", str(video), "--model", str(graph), "--jsonl", str(lines), "--no-video"]
    assert main(command) == 0
    last = json.loads(lines.read_text("utf-8").splitlines()[-1])
    assert last["label"] == "green"


def test_the_checkpoint_starts_a_video_network(
    run: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The source system's second phase: the image network's weights, inflated."""
    recipe = tmp_path / "video.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    overrides = [
        "model.preset=efficientvit3d_b0",
        "model.num_frames=2",
        "input.frames=2",
        f"model.init={run}",
        f"data.root={clips}",
        "optim.epochs=0",
        "optim.steps=2",
    ]
    command = ["train", str(recipe), "--output", str(tmp_path / "video")]
    for override in overrides:
        command += ["--set", override]
    figures = _json(capsys, *command)
    assert figures["steps"] == 2
    journal = (tmp_path / "video" / "metrics.jsonl").read_text("utf-8").splitlines()
    start = next(record["start"] for record in map(json.loads, journal) if "start" in record)
    assert start["loaded"] > 100 and not start["initial"]
