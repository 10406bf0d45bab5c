"""One of two processes of ``effvit-edge train``, which dies in the middle where it is told to.

torchrun ends all processes when one dies; here nobody does, as when a machine of several is gone.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import torch

from effvit_edge.cli.main import main
from effvit_edge.train import loop


def die_at(step: int) -> None:
    """Have this process killed when it is to take a step (from 1)."""
    take = loop.Trainer._one_step

    def take_or_die(trainer: loop.Trainer, *batch: Any) -> Any:
        if trainer.step + 1 == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return take(trainer, *batch)

    loop.Trainer._one_step = take_or_die  # type: ignore[method-assign]


if __name__ == "__main__":
    torch.set_num_threads(1)
    if len(sys.argv) > 2:
        die_at(int(sys.argv[2]))
    sys.exit(main(["train", sys.argv[1]]))
