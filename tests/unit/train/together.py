"""What torchrun starts in tests: run several recipes one after another, and keep what they did."""

from __future__ import annotations

import hashlib
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from effvit_edge.nn.efficientvit.presets import PRESETS
from effvit_edge.train.distributed import join_group
from effvit_edge.train.loop import Trainer
from effvit_edge.train.recipe import parse_recipe


def main(jobs: list[dict[str, Any]]) -> None:
    """Each job: a ``recipe``, whether to ``resume``, and ``stop_at``, a step to be stopped at.

    ``widths`` and ``depths`` are those of a smaller B0.
    """
    torch.set_num_threads(1)
    with join_group(torch.device("cpu")) as group:
        for job in jobs:
            sizes = {name: tuple(job[name]) for name in ("widths", "depths") if name in job}
            PRESETS["b0"] = replace(PRESETS["b0"], **sizes)
            trainer = Trainer(parse_recipe(job["recipe"]), resume=job["resume"], group=group)
            stop = job.get("stop_at")
            if stop and group.rank == 1:  # a request to one process is heard by all
                ask_to_stop(trainer, stop)
            try:
                trainer.run()
            except KeyboardInterrupt:
                assert trainer.step == stop
            assert len(set(group.gather(digest(trainer)))) == 1  # all processes have the same


def digest(trainer: Trainer) -> str:
    """Of a process's weights and statistics, averaged ones too."""
    content = hashlib.sha256()
    for state in (trainer.model.state_dict(), trainer.parts.weights()):
        for value in state.values():
            content.update(value.numpy().tobytes())
    return content.hexdigest()


def ask_to_stop(trainer: Trainer, step: int) -> None:
    """Send this process a SIGTERM while a step is computed."""

    def hook(_module: object, _inputs: object, _output: object) -> None:
        if trainer.model.training and trainer.step + 1 == step:
            signal.raise_signal(signal.SIGTERM)

    trainer.model.head.classifier.register_forward_hook(hook)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
