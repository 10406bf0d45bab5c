"""Batches of training clips, made ahead of time by worker processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from effvit_edge.core.errors import EdgeError
from effvit_edge.core.optional import require
from effvit_edge.data.types import Frames, Targets, TrainingClips

_Clip: TypeAlias = tuple[Frames, Targets]
_Batch: TypeAlias = tuple[Tensor, Tensor]


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

    Files that a worker had to leave out are added to ``clips.failures`` here too.

    Yields:
        clips ``(B, T, H, W, 3)`` uint8 and targets ``(B, T, …)`` int64, on the CPU.

    Raises:
        EdgeError: a clip could not be made; the dataset's own error.
    """
    if workers:
        # OpenCV's threads must not exist while processes are forked: a copied lock may stay locked.
        require("cv2", "video").setNumThreads(1)
    guarded = _Guarded(clips)
    loader: DataLoader[tuple[_Batch | EdgeError, list[str]]] = DataLoader(
        guarded,  # type: ignore[arg-type]
        batch_sampler=_BatchNumbers(batch_size, first_step, last_step),
        num_workers=workers,
        collate_fn=guarded.collate,
        worker_init_fn=_start_worker if workers else None,
        pin_memory=pin_memory,
        # Its own, or starting it would draw from the generator that a resumed run has restored.
        generator=torch.Generator(),
        prefetch_factor=4 if workers else None,
    )
    for batch, failures in loader:
        clips.failures += [failure for failure in failures if failure not in clips.failures]
        if isinstance(batch, EdgeError):
            raise batch
        yield batch


class _Guarded:
    """Gives an error as a value, since torch turns one raised in a worker into a page of trace."""

    def __init__(self, clips: TrainingClips) -> None:
        self.clips = clips

    def __getitem__(self, number: int) -> _Clip | EdgeError:
        try:
            return self.clips[number]
        except EdgeError as error:
            return error

    def collate(self, items: list[_Clip | EdgeError]) -> tuple[_Batch | EdgeError, list[str]]:
        """A batch, and what this process has had to leave out so far."""
        return _collate(items), list(self.clips.failures)


def _collate(items: list[_Clip | EdgeError]) -> _Batch | EdgeError:
    frames, targets = [], []
    for item in items:
        if isinstance(item, EdgeError):
            return item
        frames.append(item[0])
        targets.append(item[1])
    return torch.from_numpy(np.stack(frames)), torch.from_numpy(np.stack(targets))


def _start_worker(_worker: int) -> None:
    """One thread a worker; a signal sent to all processes is answered by the parent alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    require("cv2", "video").setNumThreads(1)
