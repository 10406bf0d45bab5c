"""A training process that is killed at a moment that is counted, not timed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from effvit_edge.train.loop import Trainer
from effvit_edge.train.recipe import parse_recipe

_TOUCHING = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")


class Moments:
    """Counts what a process does to a folder, and kills the process before one of these.

    Args:
        folder: of the run.
        kill_at: the moment, from 1; 0: never.
    """

    def __init__(self, folder: Path, kill_at: int) -> None:
        self.folder = str(folder)
        self.kill_at = kill_at
        self.count = 0
        self.process = os.getpid()

    def passes(self) -> bool:
        """Count one; whether it is not the last."""
        self.count += 1
        return self.count != self.kill_at

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Python's hook; it also sees what worker processes do, which is not counted."""
        if event not in _TOUCHING or os.getpid() != self.process:
            return
        if str(arguments[0]).startswith(self.folder) and not self.passes():
            os.kill(self.process, signal.SIGKILL)

    def save_file(self, tensors: dict[str, torch.Tensor], path: Path) -> None:
        """safetensors writes unseen by Python; the last moment leaves half a file."""
        content = safetensors.torch.save(tensors)
        if not self.passes():
            Path(path).write_bytes(content[: len(content) // 2])
            os.kill(self.process, signal.SIGKILL)
        Path(path).write_bytes(content)


def _train(tree: dict[str, Any], kill_at: int, moments_file: str) -> None:
    torch.set_num_threads(1)
    recipe = parse_recipe(tree)
    folder = Path(recipe.output.folder)
    resume = (folder / "recipe.yaml").exists()
    moments = Moments(folder, kill_at)
    safetensors.torch.save_file = moments.save_file
    sys.addaudithook(moments.audit)
    Trainer(recipe, resume=resume).run()
    Path(moments_file).write_text(str(moments.count), encoding="utf-8")


def train_in_a_process(tree: dict[str, Any], kill_at: int = 0) -> int | None:
    """Train, or go on training, in a process of its own.

    Returns:
        How many moments it had; None where it was killed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    moments_file = Path(tree["output"]["folder"] + ".moments")
    process = context.Process(target=_train, args=(tree, kill_at, str(moments_file)))
    process.start()
    process.join()
    if process.exitcode == -signal.SIGKILL:
        return None
    assert process.exitcode == 0
    return int(moments_file.read_text(encoding="utf-8"))
