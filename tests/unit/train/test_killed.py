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
            write_video(root / label / f"{number}.mp4", grey_frames(10 + number), fps=10)
    return root


_FIRST_SCALE = 2.0**16  # torch.amp.GradScaler's own


def tree(clips: Path, folder: Path, workers: int, precision: str = "fp32") -> dict[str, Any]:
    """Everything that remembers or draws: averaging, mixing, dropout, stochastic depth, and the
    loss scale where half precision has one."""
    options = {"head_widths": [16, 16], "drop_path": 0.3, "head_dropout": 0.3}
    return {
        "model": {**MODEL, "options": options},
        "input": {"height": 32, "width": 32, "fps": 10, "frames": 6},
        "data": {"kind": "videos", "root": str(clips), "eval_share": 0.4},
        "augment": {"mixup": 0.4, "cutmix": 1.0, "mix_share": 0.8},
        "optim": {"lr": 1e-3, "batch_size": 2, "epochs": 4, "warmup_epochs": 1, "ema": 0.9},
        "eval": {"keep_best": True},
        "speed": {"workers": workers, "device": "cpu", "precision": precision},
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
    losses = steps_of(whole, "loss")
    assert steps_of(tmp_path / "run", "loss") == losses
    assert [step for step, _ in losses] == list(range(1, len(losses) + 1))
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert not any(name.startswith(".last") or name.startswith(".best") for name in names)


def test_killed_with_a_loss_scale_it_goes_on_with_the_same(clips: Path, tmp_path: Path) -> None:
    """In half precision, whose scale is too large at first and falls on the way."""
    whole = tree(clips, tmp_path / "whole", 0, "fp16")
    moments = train_in_a_process(whole)
    assert moments is not None
    scales = steps_of(tmp_path / "whole", "loss_scale")
    assert scales[-1][1] < _FIRST_SCALE and steps_of(tmp_path / "whole", "skipped")
    recipe = tree(clips, tmp_path / "run", 0, "fp16")
    for part in (0.3, 0.5):
        assert train_in_a_process(recipe, round(part * moments)) is None
    train_in_a_process(recipe)
    for name in ("model.safetensors", "training.safetensors"):
        expected = (tmp_path / "whole" / "last" / name).read_bytes()
        assert (tmp_path / "run" / "last" / name).read_bytes() == expected
    for figure in ("loss", "loss_scale"):
        assert steps_of(tmp_path / "run", figure) == steps_of(tmp_path / "whole", figure)


def steps_of(folder: Path, figure: str) -> list[tuple[int, Any]]:
    """A figure of every step that a run's journal holds."""
    records = read_journal(folder / "metrics.jsonl")
    return [(record["step"], record[figure]) for record in records if figure in record]
