"""Whenever a run is killed, going on gives the weights of the run that was not."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from effvit_edge.train.journal import read_journal
from tests.unit.train.killing import train_in_a_process
from tests.unit.train.recipes import MODEL
from tests.videos import grey_frames, write_video


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("own")
    for label in ("a", "b"):
        (root / label).mkdir()
        for number in range(3):
            write_video(root / label / f"{number}.mp4", grey_frames(10 + number))
    return root


def tree(clips: Path, folder: Path, workers: int) -> dict[str, Any]:
    """Everything that remembers or draws: averaging, mixing, dropout, stochastic depth."""
    options = {"head_widths": [16, 16], "drop_path": 0.3, "head_dropout": 0.3}
    return {
        "model": {**MODEL, "options": options},
        "input": {"height": 32, "width": 32, "fps": 10, "frames": 6},
        "data": {"kind": "videos", "root": str(clips), "eval_share": 0.4},
        "augment": {"mixup": 0.4, "cutmix": 1.0, "mix_share": 0.8},
        "optim": {"lr": 1e-3, "batch_size": 2, "epochs": 4, "warmup_epochs": 1, "ema": 0.9},
        "eval": {"keep_best": True},
        "speed": {"workers": workers, "device": "cpu"},
        "output": {"folder": str(folder), "checkpoint_every": 2, "tensorboard": False},
    }


@pytest.fixture(scope="module")
def uninterrupted(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    folder = tmp_path_factory.mktemp("whole") / "run"
    moments = train_in_a_process(tree(clips, folder, 0))
    assert moments is not None
    return folder, moments


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_again_and_again_it_ends_with_the_same_weights(
    clips: Path, uninterrupted: tuple[Path, int], tmp_path: Path, workers: int
) -> None:
    whole, moments = uninterrupted
    recipe = tree(clips, tmp_path / "run", workers)
    dice = random.Random(workers)
    killed = 0
    for _ in range(4):
        killed += train_in_a_process(recipe, dice.randint(1, moments // 2)) is None
    assert killed >= 3
    train_in_a_process(recipe)
    for name in ("model.safetensors", "training.safetensors"):
        expected = (whole / "last" / name).read_bytes()
        assert (tmp_path / "run" / "last" / name).read_bytes() == expected
    losses = [
        [(r["step"], r["loss"]) for r in read_journal(folder / "metrics.jsonl") if "loss" in r]
        for folder in (whole, tmp_path / "run")
    ]
    assert losses[0] == losses[1]
    assert [step for step, _ in losses[0]] == list(range(1, len(losses[0]) + 1))
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert not any(name.startswith(".last") or name.startswith(".best") for name in names)
