from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effvit_edge.cli.main import main
from effvit_edge.train import loop
from effvit_edge.train.datasets import build_data
from effvit_edge.train.recipe import parse_recipe
from effvit_edge.train.step import Outcome
from tests.videos import write_video

MODELS = Path(__file__).resolve().parents[2] / "models"

TINY = [
    "model.num_frames=2",
    "model.options={head_widths: [16, 16]}",
    "input={height: 32, width: 32, fps: 10, frames: 6}",
    "optim={lr: 0.003, batch_size: 4, steps: 12, warmup_steps: 2}",
    "speed.workers=0",
]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One's own folder: dark videos and light ones."""
    root = tmp_path_factory.mktemp("own") / "clips"
    for label, grey in (("dark", 30), ("light", 220)):
        (root / label).mkdir(parents=True)
        for number in range(3):
            frames = [np.full((48, 64, 3), grey + 5 * number + i, np.uint8) for i in range(12)]
            write_video(root / label / f"{number}.mp4", frames, fps=10)
    return root


def train(clips: Path, output: Path, *more: str) -> int:
    overrides = [f"data.root={clips}", *TINY, *more]
    options = [
        part
        for override in overrides
        for part in ([override] if override.startswith("--") else ["--set", override])
    ]
    recipe = str(MODELS / "folder.yaml")
    return main(["train", recipe, *options, "--output", str(output), "--json"])


def test_ones_own_folder_in_three_commands(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, graph = tmp_path / "run", tmp_path / "mine.onnx"
    assert train(clips, run) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["steps"], figures["sequences"]) == (12, 2)
    assert main(["export", str(run), "--mode", "stream", "-o", str(graph)]) == 0
    video = clips / "light" / "0.mp4"
    lines = tmp_path / "labels.jsonl"
    command = ["label", str(video), "--model", str(graph), "--jsonl", str(lines), "--no-video"]
    assert main(command) == 0
    assert json.loads(lines.read_text(encoding="utf-8").splitlines()[-1])["label"] in (
        "dark",
        "light",
    )
    capsys.readouterr()
    reports = []
    for artifact in (run, graph):
        assert main(["eval", str(artifact), "--data", str(clips), "--json"]) == 0
        reports.append(json.loads(capsys.readouterr().out))
    assert reports[0]["confusion"] == reports[1]["confusion"]
    assert sum(map(sum, reports[0]["confusion"])) == 6


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("optim.lrr=1", "Did you mean 'lr'?"),
        ("data.root=/nowhere", "There is no folder /nowhere"),
        ("model.options={windw: 3}", "model.options.windw: unknown key. Did you mean 'window'?"),
        ("optim.epochs=3", "both optim.steps (12) and optim.epochs (3) are set"),
        ("speed.device=warp", "warp cannot be used here"),
    ],
)
def test_a_wrong_recipe_is_one_sentence(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, sentence: str
) -> None:
    assert train(clips, tmp_path / "run", change) == (3 if "device" in change else 2)
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_refused_run_takes_nothing_but_its_own_mark_away(clips: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "notes.txt").write_text("mine")
    assert train(clips, run, "data.root=/nowhere") == 2
    assert [path.name for path in run.iterdir()] == ["notes.txt"]
    (run / "recipe.yaml").write_text("of a run that was killed before its first checkpoint")
    assert train(clips, run, "data.root=/nowhere") == 2
    assert (run / "recipe.yaml").is_file()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("model.preset=efficientvit3d_b9", "there is no efficientvit3d_b9. Did you mean 'eff"),
        ("model.options={head_width: [8, 8]}", "Did you mean 'head_widths'?"),
        ("model.options={head_widths: [8]}", "efficientvit3d_b0 cannot be built: "),
    ],
)
def test_a_wrong_network_is_found_before_any_video_is_read(
    clips: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    change: str,
    sentence: str,
) -> None:
    monkeypatch.setattr(loop, "build_data", lambda *_: pytest.fail("the videos were read"))
    assert train(clips, tmp_path / "run", change) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("efficientvit3d_b0") <= 1
    assert error.rstrip()[-1] in ".?"


def interrupt_at(step: int, monkeypatch: pytest.MonkeyPatch, times: int = 1) -> None:
    """Press Ctrl-C while ``step`` (from 1) is computed."""
    one_step = loop.Trainer._one_step

    def interrupted(trainer: loop.Trainer, *batch: Any) -> Outcome:
        if trainer.step + 1 == step:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return one_step(trainer, *batch)

    monkeypatch.setattr(loop.Trainer, "_one_step", interrupted)


def test_ctrl_c_says_where_the_checkpoint_is(
    clips: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = tmp_path / "run"
    interrupt_at(2, monkeypatch)
    assert train(clips, run) == 130
    sentence = f"Stopped at step 2; the checkpoint is in {run / 'last'}. Go on with the same"
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "top" in line)
    assert line.startswith(sentence)


def test_ctrl_c_twice_leaves_the_checkpoint_before(
    clips: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interrupt_at(2, monkeypatch, times=2)
    assert train(clips, tmp_path / "run") == 130
    assert "Stopped at step 0; the checkpoint is in" in capsys.readouterr().err


def test_a_finished_run_is_told_and_not_trained_again(
    clips: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = tmp_path / "run"
    length = ("optim.steps=0", "optim.epochs=1")
    assert train(clips, run, *length) == 0
    first = json.loads(capsys.readouterr().out)
    monkeypatch.setattr(loop, "build_data", lambda *_: pytest.fail("the videos were read"))
    assert train(clips, run, *length, "--resume") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == first
    assert "is finished already" in captured.err


def test_going_on_without_a_run_says_what_to_do(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(clips, tmp_path / "run", "--resume") == 2
    said = capsys.readouterr().err
    assert said == (
        f"error: There is no run to resume in {tmp_path / 'run'}. Leave --resume out to begin "
        f"one, or give the --output of the run that is meant.\n"
    )


def test_a_finished_run_without_its_evaluation_is_evaluated(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(clips, run, "optim.steps=1") == 0
    first = json.loads(capsys.readouterr().out)
    (run / "evaluation.json").write_text('{"top1": 2.0}', encoding="utf-8")
    assert train(clips, run, "optim.steps=1", "--resume") == 0
    assert json.loads(capsys.readouterr().out) == first
    assert json.loads((run / "evaluation.json").read_text("utf-8"))["top1"] == first["top1"]


def test_unreadable_videos_alone_are_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label in ("a", "b"):
        (tmp_path / "clips" / label).mkdir(parents=True)
        for number in range(2):
            (tmp_path / "clips" / label / f"{number}.mp4").write_text("no film", encoding="utf-8")
    assert train(tmp_path / "clips", tmp_path / "run") == 2
    assert "1 of 2 segments are missing or cannot be decoded" in capsys.readouterr().err


def test_what_one_process_of_several_meets_is_told(clips: Path, tmp_path: Path) -> None:
    """The second process's part of the first batch has the one file that is none."""
    own = tmp_path / "clips"
    shutil.copytree(clips, own)
    (own / "dark" / "1.mp4").write_text("no film", encoding="utf-8")
    rows = [f"{label}/{n}.mp4,{label},{n // 2}" for label in ("dark", "light") for n in range(3)]
    (own / "clips.csv").write_text("path,label,part\n" + "\n".join(rows) + "\n", encoding="utf-8")
    data = {"set": "csv", "annotations": "clips.csv", "train": ["part=0"], "eval": ["part=1"]}
    recipe = {
        "model": {"preset": "efficientvit3d_b0", "causal": True, "num_frames": 2},
        "input": {"height": 32, "width": 32, "fps": 10, "frames": 6},
        "data": {"kind": "videos", "root": str(own), "cache_gb": 0, "max_failed_share": 0, **data},
        "optim": {"lr": 0.003, "batch_size": 4, "steps": 2},
        "speed": {"workers": 0, "device": "cpu", "threads": 1},
        "output": {"folder": str(tmp_path / "run"), "tensorboard": False},
    }
    for seed in range(50):
        made, _ = build_data(parse_recipe({**recipe, "seed": seed}))
        if "dark/1.mp4" in (made.name(2), made.name(3)):
            break
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps({**recipe, "seed": seed}), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("-m", "effvit_edge", "train", str(path)),
    ]
    done = subprocess.run(
        command, cwd=MODELS.parent, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode != 0
    assert "1 of 4 segments are missing or cannot be decoded" in done.stderr


def test_a_video_left_out_is_told_in_a_pipe_and_in_json(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "clips"
    shutil.copytree(clips, own)
    (own / "dark" / "1.mp4").write_text("no film", encoding="utf-8")
    more = ("optim.steps=1", "data.max_failed_share=0.5")
    assert train(own, tmp_path / "run", *more) == 0
    captured = capsys.readouterr()
    (failure,) = json.loads(captured.out)["failures"]
    assert "1.mp4" in failure
    assert captured.err.count(f"1 video left out. {failure}\n") == 1
    assert train(own, tmp_path / "run", *more, "--resume") == 0
    again = capsys.readouterr()
    assert json.loads(again.out) == json.loads(captured.out)
    assert again.err.endswith(f"nothing was trained.\n1 video left out. {failure}\n")


def test_eval_filters_the_rows_of_a_csv(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(clips, tmp_path / "run") == 0
    capsys.readouterr()
    table = clips / "clips.csv"
    table.write_text("path,label,fold\ndark/0.mp4,dark,0\nlight/0.mp4,light,1\n", encoding="utf-8")
    command = ["eval", str(tmp_path / "run"), "--data", str(table), "--where", "fold=1"]
    output = tmp_path / "report"
    assert main([*command, "--output", str(output)]) == 0
    card = json.loads((tmp_path / "run" / "last" / "card.json").read_text(encoding="utf-8"))
    report = json.loads((output / "evaluation.json").read_text(encoding="utf-8"))
    assert report["sequences"] == 1
    assert report["model"] == {
        "artifact": str(tmp_path / "run"),
        "sha256": None,
        "variant": "efficientvit3d_b0",
        "mode": "stream",
        "num_frames": 2,
        "precision": "fp32",
        "recipe_hash": card["provenance"]["recipe_hash"],
        "weights_sha256": card["provenance"]["weights_sha256"],
        "steps": 12,
    }
    own = json.loads((tmp_path / "run" / "evaluation.json").read_text(encoding="utf-8"))
    assert own["model"]["recipe_hash"] == card["provenance"]["recipe_hash"]
    assert (own["data"]["root"], own["steps"]) == (str(clips), 12)
    assert report["data"] == {"source": str(table), "filters": ["fold=1"]}
    assert (output / "confusion.png").stat().st_size > 0
    assert "top-1" in capsys.readouterr().out
