from __future__ import annotations

import numpy as np
import pytest

from effvit_edge.core.card import LabelGroup
from effvit_edge.core.clock import FakeClock
from effvit_edge.data.types import Frames, LabelledSequence
from effvit_edge.train.metrics import Logits
from effvit_edge.train.rehearsal import rehearse
from tests.tiny_models import tiny_card


class Sequences:
    """Sequences as long as their number; those in ``broken`` cannot be read."""

    def __init__(self, count: int, broken: tuple[int, ...] = ()) -> None:
        self.groups = (LabelGroup("class", ("a", "b", "c")),)
        self.failures: list[str] = []
        self.count, self.broken = count, broken

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> LabelledSequence | None:
        if index in self.broken:
            return None
        frames = np.zeros((index + 1, 8, 8, 3), np.uint8)
        return LabelledSequence(str(index), frames, np.zeros((index + 1, 1), np.int64))


class Scorer:
    """Takes some seconds a frame, and a minute the first time."""

    def __init__(self, clock: FakeClock, frame_seconds: float) -> None:
        self.card = tiny_card("stream")
        self.clock, self.frame_seconds, self.asked = clock, frame_seconds, 0

    def __call__(self, frames: Frames) -> Logits:
        self.clock.advance(self.frame_seconds * len(frames) + (60 if not self.asked else 0))
        self.asked += 1
        return np.zeros((len(frames), 3), np.float32)


def test_the_time_of_all_is_foretold_from_some_spread_over_them() -> None:
    clock = FakeClock()
    seconds = rehearse(Scorer(clock, 0.001), Sequences(100), clock)
    assert seconds == pytest.approx(0.001 * sum(range(1, 101)), rel=0.02)


def test_slow_sequences_are_few() -> None:
    clock = FakeClock()
    scorer = Scorer(clock, 6.0)
    assert rehearse(scorer, Sequences(10), clock) == 10 * 6.0
    assert scorer.asked == 2


def test_what_cannot_be_read_is_passed_over() -> None:
    clock = FakeClock()
    sequences = Sequences(3, broken=(1,))
    assert rehearse(Scorer(clock, 0.001), sequences, clock) == pytest.approx(0.001 + 0.003)


@pytest.mark.parametrize("sequences", [Sequences(0), Sequences(2, broken=(0, 1))])
def test_of_nothing_nothing_is_foretold(sequences: Sequences) -> None:
    clock = FakeClock()
    assert rehearse(Scorer(clock, 1.0), sequences, clock) == 0.0
