"""Two processes under torchrun do what one does with the same recipe."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch

from effvit_edge.core.errors import InputError
from effvit_edge.train.checkpoint import load_training
from effvit_edge.train.distributed import Group
from effvit_edge.train.journal import read_journal
from effvit_edge.train.loop import Trainer
from effvit_edge.train.recipe import parse_recipe
from tests.unit.train.recipes import tiny_recipe

REPOSITORY = Path(__file__).resolve().parents[3]


def tree(folder: Path, batch_norm: str, **optim: Any) -> dict[str, Any]:
    """Float64, nothing random but the clips."""
    return tiny_recipe(
        folder,
        model={"options": {"head_widths": [16, 16]}, "batch_norm": batch_norm},
        data={"eval_sequences": 3},
        optim={"batch_size": 4, "steps": 4, **optim},
        speed={"precision": "fp64", "workers": 1},
        output={"checkpoint_every": 100, "tensorboard": False},
    ).to_dict()


def train_together(folder: Path, jobs: list[dict[str, Any]]) -> str:
    path = folder / "jobs.json"
    path.write_text(json.dumps(jobs), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("-m", "tests.unit.train.together", str(path)),
    ]
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def losses(folder: Path) -> list[float]:
    return [r["loss"] for r in read_journal(folder / "metrics.jsonl") if "loss" in r]


def weights(folder: Path) -> dict[str, Any]:
    return safetensors.torch.load_file(folder / "last" / "model.safetensors")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same recipes by one process and by two."""
    alone, together = (tmp_path_factory.mktemp(name) for name in ("alone", "together"))
    recipes = {"frozen": tree(together / "frozen", "frozen", accumulate=2)}
    recipes["sync"] = tree(together / "sync", "sync")
    jobs = [{"recipe": recipe, "resume": False} for recipe in recipes.values()]
    stopped = tree(together / "stopped", "sync")
    jobs += [
        {"recipe": stopped, "resume": False, "stop_at": 2},
        {"recipe": stopped, "resume": True},
    ]
    # Each process its own statistics, which are averaged; the second has nothing to evaluate.
    own = tree(together / "own", "batch", ema=0.9)
    own["data"]["eval_sequences"] = 1
    jobs.append({"recipe": own, "resume": False})
    said = train_together(together, jobs)
    assert said.count("step 4:") == 4  # by one process of the two
    for name, batch_norm in (("frozen", "frozen"), ("sync", "batch")):
        Trainer(parse_recipe(tree(alone / name, batch_norm))).run()
    return alone, together


@pytest.mark.parametrize("name", ["frozen", "sync"])
def test_two_processes_have_the_losses_and_weights_of_one(
    folders: tuple[Path, Path], name: str
) -> None:
    alone, together = (folder / name for folder in folders)
    assert losses(together) == pytest.approx(losses(alone), rel=1e-8)
    expected, got = weights(alone), weights(together)
    assert list(expected) == list(got)
    for key, value in expected.items():
        assert got[key].dtype == value.dtype
        difference = (got[key] - value).abs().max().item()
        assert difference <= 1e-8 * max(1.0, value.abs().max().item()), key


def test_two_processes_evaluate_what_one_does(folders: tuple[Path, Path]) -> None:
    reports = [
        json.loads((folder / "frozen" / "evaluation.json").read_text("utf-8")) for folder in folders
    ]
    assert reports[0]["sequences"] == 3
    assert reports[0]["confusion"] == reports[1]["confusion"]
    assert reports[0]["top1"] == reports[1]["top1"]


def test_a_process_without_a_sequence_of_its_own_is_waited_for(folders: tuple[Path, Path]) -> None:
    _, together = folders
    report = json.loads((together / "own" / "evaluation.json").read_text("utf-8"))
    assert report["sequences"] == 1


def test_stopped_by_one_of_them_both_go_on_bit_for_bit(folders: tuple[Path, Path]) -> None:
    _, together = folders
    assert losses(together / "stopped") == losses(together / "sync")
    for name in ("model.safetensors", "training.safetensors"):
        whole, resumed = (together / run / "last" / name for run in ("sync", "stopped"))
        assert whole.read_bytes() == resumed.read_bytes()


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    class Three(Group):
        world = 3

    with pytest.raises(InputError, match=r"batch_size is 4, which 3 processes .* multiple of 6"):
        Trainer(parse_recipe(tree(tmp_path, "frozen", accumulate=2)), group=Three())


def test_a_lost_process_is_told_in_a_sentence_and_costs_no_checkpoint(tmp_path: Path) -> None:
    """The second of two is killed at its third step, and nobody ends the first."""
    recipe = tree(tmp_path / "run", "frozen")
    recipe["output"]["checkpoint_every"] = 1
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(recipe), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    processes = []
    for rank in ("0", "1"):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2"}
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        dies = ["3"] if rank == "1" else []
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.train.losing", str(path), *dies],
            cwd=REPOSITORY,
            env={**os.environ, **place, **meeting},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
    (_, said), _ = (process.communicate(timeout=300) for process in processes)
    assert [process.returncode for process in processes] == [1, -signal.SIGKILL]
    assert "error: Another process ended; its message says why." in said
    assert "Traceback" not in said
    assert load_training(tmp_path / "run" / "last").facts["counters"]["step"] == 2


@pytest.mark.slow
def test_two_processes_train_a_compiled_network(tmp_path: Path) -> None:
    """To rounding as they train it as it is written, gradients of two parts exchanged once."""
    small = {"widths": [8, 8, 16, 16, 32], "depths": [1, 1, 1, 1, 1]}
    jobs = []
    for name, compiled in (("compiled", True), ("plain", False)):
        recipe = tree(tmp_path / name, "frozen", steps=2, accumulate=2)
        recipe["speed"] |= {"compile": compiled, "precision": "fp32", "workers": 0}
        jobs.append({"recipe": recipe, "resume": False, **small})
    train_together(tmp_path, jobs)
    compiled, plain = losses(tmp_path / "compiled"), losses(tmp_path / "plain")
    assert len(plain) == 2 and compiled == pytest.approx(plain, rel=1e-4)
