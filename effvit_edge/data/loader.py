"""Batches of training clips, made ahead of time by worker processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from effvit_edge.core.optional import require
from effvit_edge.data.types import Frames, Labels, TrainingClips


class _BatchNumbers:
    """The clip numbers of every batch from ``first_step`` to ``last_step`` (excluded)."""

    def __init__(self, batch_size: int, first_step: int, last_step: int) -> None:
        self.batch_size = batch_size
        self.steps = range(first_step, last_step)

    def __iter__(self) -> Iterator[list[int]]:
        for step in self.steps:
            yield list(range(step * self.batch_size, (step + 1) * self.batch_size))

    def __len__(self) -> int:
        return len(self.steps)


def batches(
    clips: TrainingClips,
    *,
    batch_size: int,
    first_step: int,
    last_step: int,
    workers: int,
    pin_memory: bool = False,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of steps ``first_step`` to ``last_step`` (excluded), in order.

    Yields:
        clips ``(B, T, H, W, 3)`` uint8 and labels ``(B, T)`` int64, on the CPU.
    """
    loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
        clips,  # type: ignore[arg-type]
        batch_sampler=_BatchNumbers(batch_size, first_step, last_step),
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_start_worker if workers else None,
        pin_memory=pin_memory,
        # Its own, or starting it would draw from the generator that a resumed run has restored.
        generator=torch.Generator(),
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)


def _collate(items: list[tuple[Frames, Labels]]) -> tuple[Tensor, Tensor]:
    frames = np.stack([item[0] for item in items])
    labels = np.stack([item[1] for item in items])
    return torch.from_numpy(frames), torch.from_numpy(labels)


def _start_worker(_worker: int) -> None:
    """One thread a worker; the parent decides when to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    require("cv2", "video").setNumThreads(1)
