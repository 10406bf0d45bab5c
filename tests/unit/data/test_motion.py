from __future__ import annotations

import numpy as np
import pytest
import torch

from effvit_edge.data.loader import batches
from effvit_edge.data.motion import MotionClips, MotionSequences, frame_targets
from effvit_edge.data.types import IGNORE, iterate


def make_clips(seed: int = 0, switch_share: float = 0.5) -> MotionClips:
    return MotionClips(
        size=16, frames=8, textures=2, seed=seed, switch_share=switch_share, switch_ignore=2
    )


def test_a_clip_depends_on_its_number_alone() -> None:
    first, second = make_clips(), make_clips()
    for number in (5, 0, 2):
        first[number]
    frames, labels = first[3]
    again, labels_again = second[3]
    assert frames.shape == (8, 16, 16, 3) and frames.dtype == np.uint8
    assert labels.shape == (8, 1) and labels.dtype == np.int64
    assert np.array_equal(frames, again) and np.array_equal(labels, labels_again)
    other, _ = make_clips(seed=1)[3]
    assert not np.array_equal(frames, other)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_entered_later_goes_on_alike(workers: int) -> None:
    def stream(first_step: int, workers: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return list(
            batches(make_clips(), batch_size=2, first_step=first_step, last_step=4, workers=workers)
        )

    whole, rest = stream(0, 0), stream(2, workers)
    assert (len(whole), len(rest)) == (4, 2)
    for (clips, labels), (clips_again, labels_again) in zip(whole[2:], rest, strict=True):
        assert clips.shape == (2, 8, 16, 16, 3)
        assert torch.equal(clips, clips_again) and torch.equal(labels, labels_again)


def test_the_share_of_clips_that_change() -> None:
    steady, changing = make_clips(switch_share=0.0), make_clips(switch_share=1.0)
    for number in range(20):
        assert len(set(steady[number][1][:, 0])) == 1
        labels = changing[number][1][:, 0]
        assert (labels == IGNORE).sum() == 2
        assert len(set(labels[labels != IGNORE])) == 2


def test_frames_after_a_change_have_no_label() -> None:
    labels = frame_targets([("left", 3), ("right", 4)], switch_ignore=2)
    assert labels[:, 0].tolist() == [0, 0, 0, IGNORE, IGNORE, 1, 1]


def test_evaluation_takes_every_class_in_turn_from_other_textures() -> None:
    sequences = MotionSequences(size=16, frames=3, count=10, textures=2, seed=0)
    items = list(iterate(sequences))
    assert len(sequences) == len(items) == 10
    assert [int(item.targets[0, 0]) for item in items] == [*range(9), 0]
    assert items[0].frames.shape == (3, 16, 16, 3)
    training = make_clips().bank
    assert not np.array_equal(sequences.bank.texture(0)[0], training.texture(0)[0])
