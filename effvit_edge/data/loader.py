"""Batches of training clips, made ahead of time by worker processes."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import islice
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
    """The clip numbers of one process, of every batch in ``steps``.

    A process has a run of neighbours, so that two processes see what one sees in two parts.
    """

    def __init__(self, batch_size: int, steps: range, rank: int, world: int) -> None:
        self.batch_size = batch_size
        self.steps = steps
        self.rank = rank
        self.share = batch_size // world

    def __iter__(self) -> Iterator[list[int]]:
        for step in self.steps:
            first = step * self.batch_size + self.rank * self.share
            yield list(range(first, first + self.share))

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
    rank: int = 0,
    world: int = 1,
) -> Generator[tuple[Tensor, Tensor], None, None]:
    """Batches of steps ``first_step`` to ``last_step`` (excluded), in order.

    What a worker had to leave out is counted in ``clips.failed`` here too, with that of the others.

    Args:
        clips: numbered clips.
        batch_size: clips a step, of all processes together.
        first_step: where to begin.
        last_step: where to end (excluded).
        workers: processes that make clips; 0: this one does.
        pin_memory: for copies to a GPU that do not wait.
        rank: which share of each batch to make.
        world: how many shares there are; ``batch_size`` is a multiple of it.

    Yields:
        clips ``(B, T, H, W, 3)`` uint8 and targets ``(B, T, …)`` int64, on the CPU, where B is
        ``batch_size / world``.

    Raises:
        InputError: all workers together had to leave out too much.
        EdgeError: a clip could not be made, with the dataset's own error; or a worker died.
    """
    if workers:
        # OpenCV's threads must not exist while processes are forked: a copied lock may stay locked.
        require("cv2", "video").setNumThreads(1)
    guarded = _Guarded(clips)
    loader: DataLoader[tuple[_Batch | EdgeError, dict[str, str]]] = DataLoader(
        guarded,  # type: ignore[arg-type]
        batch_sampler=_BatchNumbers(batch_size, range(first_step, last_step), rank, world),
        num_workers=workers,
        # Not what Python takes by default, which is another from 3.14 on: workers share the clips
        # in memory and the index of a prepared set by being copies of this process.
        multiprocessing_context="fork" if workers else None,
        collate_fn=guarded.collate,
        worker_init_fn=_start_worker if workers else None,
        pin_memory=pin_memory,
        # Its own: what the loader draws is not the training's affair.
        generator=torch.Generator(),
        # At least four batches lie ready, and with many workers no more than two of each: one of 64
        # clips of 16 frames at 288 pixels takes 255 MB of /dev/shm.
        prefetch_factor=max(2, 4 // workers) if workers else None,
    )
    with worker_deaths():
        for batch, failed in loader:
            if isinstance(batch, EdgeError):
                raise batch
            clips.failed.include(failed)
            yield batch


@contextmanager
def worker_deaths() -> Iterator[None]:
    """Say plainly that a worker died. torch notices by a signal, so it may be told anywhere.

    Raises:
        EdgeError: in place of torch's error.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise EdgeError(
            f"A process that makes clips died ({str(error).splitlines()[0]}), for lack of memory "
            f"most likely, or of /dev/shm. Lower speed.workers or data.cache_gb and go on with "
            f"--resume."
        ) from error


class _Guarded:
    """Gives an error as a value, since torch turns one raised in a worker into a page of trace."""

    def __init__(self, clips: TrainingClips) -> None:
        self.clips = clips
        self._told = len(clips.failed.by_name)

    def __getitem__(self, number: int) -> _Clip | EdgeError:
        try:
            return self.clips[number]
        except EdgeError as error:
            return error

    def collate(self, items: list[_Clip | EdgeError]) -> tuple[_Batch | EdgeError, dict[str, str]]:
        """A batch, and what this process has had to leave out since the one before."""
        new = dict(islice(self.clips.failed.by_name.items(), self._told, None))
        self._told += len(new)
        return _collate(items), new


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
