from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import torch

from effvit_edge.core.card import LabelGroup
from effvit_edge.core.errors import EdgeError
from effvit_edge.data.failures import Failures
from effvit_edge.data.loader import batches
from effvit_edge.data.types import Frames, Targets


class Numbers:
    """Clips that show their number; one of them may kill whoever makes it."""

    groups = (LabelGroup("label", ("a", "b")),)
    epoch_clips: int | None = 8

    def __init__(self, deadly: int | None = None) -> None:
        self.failed = Failures(8, 1.0)
        self.failures = self.failed.sentences
        self.deadly = deadly

    def __getitem__(self, number: int) -> tuple[Frames, Targets]:
        if number == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.full((2, 1, 1, 3), number, np.uint8), np.zeros((2, 1), np.int64)

    def name(self, number: int) -> str:
        return str(number)


def numbers(clips: torch.Tensor) -> list[int]:
    return [int(clip[0, 0, 0, 0]) for clip in clips]


@pytest.mark.parametrize("world", [1, 2, 3, 6])
def test_the_processes_batches_together_are_the_single_ones(world: int) -> None:
    def read(rank: int, world: int) -> list[list[int]]:
        stream = batches(
            Numbers(), batch_size=6, first_step=1, last_step=4, workers=0, rank=rank, world=world
        )
        return [numbers(clips) for clips, _ in stream]

    single = read(0, 1)
    assert single == [[*range(6, 12)], [*range(12, 18)], [*range(18, 24)]]
    shares = [read(rank, world) for rank in range(world)]
    for step, whole in enumerate(single):
        assert [number for share in shares for number in share[step]] == whole


def test_a_killed_worker_is_told_in_a_sentence() -> None:
    stream = batches(Numbers(deadly=5), batch_size=2, first_step=0, last_step=4, workers=1)
    with pytest.raises(EdgeError) as caught:
        list(stream)
    text = str(caught.value)
    assert "A process that makes clips died" in text and "--resume" in text and "\n" not in text
