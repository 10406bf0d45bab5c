from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from effvit_edge.core.card import LabelGroup, Mode
from effvit_edge.core.clock import FakeClock
from effvit_edge.core.errors import InputError
from effvit_edge.live import Decision, Intake, Labeller
from effvit_edge.runtime import FakeSession, Session
from effvit_edge.sources import Frame
from tests.tiny_models import WINDOW, tiny_card


def levels(frames: np.ndarray) -> np.ndarray:
    """Logits that tell which grey levels the model saw: their sum, and the newest."""
    grey = frames[:, 0, 0, 0].astype(np.float32)
    return np.array([grey.sum(), grey[-1], len(grey)], np.float32)


class Recorder:
    """An answer that keeps what it was shown."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        self.seen.append(frames[:, 0, 0, 0].tolist())
        return levels(frames)


class Judge:
    """The two halves of labelling, one after the other."""

    def __init__(self, session: Session, clock: FakeClock | None = None, **options: Any) -> None:
        self.intake = Intake(session.card, clock=clock)
        self._labeller = Labeller(session, clock=clock, **options)

    def feed(self, frame: Frame, source: str, dropped: int = 0) -> Decision | None:
        prepared = self.intake.take(frame)
        return self._labeller.feed(prepared, source, dropped) if prepared else None


def labelled(
    mode: Mode, times: Sequence[float], fps: float = 10.0, **options: Any
) -> tuple[list[Decision], list[list[int]]]:
    """The decisions about frames whose grey level is their number, and what the model saw."""
    recorder = Recorder()
    labeller = Judge(FakeSession(tiny_card(mode, fps), recorder), **options)
    decisions = [labeller.feed(grey(index, time), "a") for index, time in enumerate(times)]
    return [decision for decision in decisions if decision], recorder.seen


def grey(index: int, time: float, hw: tuple[int, int] = (12, 16), segment: int = 0) -> Frame:
    image = np.full((*hw, 3), index, np.uint8)
    return Frame(index, time, 0.0, 0.0, lambda: image, FakeClock(), segment)


def test_a_stream_model_steps_on_every_frame_at_its_own_rate() -> None:
    decisions, seen = labelled("stream", [i / 30 for i in range(16)])
    assert [decision.frame for decision in decisions] == [0, 3, 6, 9, 12, 15]
    assert seen == [[0], [0, 3], [0, 3, 6], [0, 3, 6, 9], [3, 6, 9, 12], [6, 9, 12, 15]]


def test_a_slower_source_has_each_frame_used_once() -> None:
    decisions, seen = labelled("stream", [i / 4 for i in range(4)])
    assert [decision.frame for decision in decisions] == [0, 1, 2, 3]
    assert seen[-1] == [0, 1, 2, 3]


def test_window_fill_and_warming_up() -> None:
    decisions, _ = labelled("stream", [i / 10 for i in range(6)])
    assert [decision.window_fill for decision in decisions] == [0.25, 0.5, 0.75, 1, 1, 1]
    warming = [decision.to_record().get("warming_up") for decision in decisions]
    assert warming == [True, True, True, None, None, None]


def test_stride_thins_decisions_and_a_stream_still_sees_every_frame() -> None:
    decisions, seen = labelled("stream", [i / 10 for i in range(8)], stride=3)
    assert [decision.frame for decision in decisions] == [0, 3, 6]
    assert len(seen) == 8
    assert [decision.window_fill for decision in decisions] == [0.25, 1, 1]


def test_a_clip_model_runs_on_the_last_frames_only_when_due() -> None:
    decisions, seen = labelled("clip", [i / 10 for i in range(8)], stride=2)
    assert [decision.frame for decision in decisions] == [0, 2, 4, 6]
    assert seen == [[0, 0, 0, 0], [0, 0, 1, 2], [1, 2, 3, 4], [3, 4, 5, 6]]


def test_a_clip_model_hops_a_quarter_of_its_window_by_default() -> None:
    assert WINDOW // 4 == 1
    decisions, _ = labelled("clip", [i / 10 for i in range(5)])
    assert [decision.frame for decision in decisions] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("mode", ["clip", "stream"])
def test_after_a_gap_all_is_as_at_the_start(mode: Mode) -> None:
    recorder = Recorder()
    labeller = Judge(FakeSession(tiny_card(mode), recorder), stride=1)
    first = [labeller.feed(grey(time, time / 10), "a") for time in range(5)]
    seen, recorder.seen = recorder.seen, []
    later = [labeller.feed(grey(time, 9.03 + time / 10, segment=1), "a") for time in range(5)]
    assert recorder.seen == seen
    fills = [[done.window_fill for done in run if done] for run in (first, later)]
    assert fills[0] == fills[1] == [0.25, 0.5, 0.75, 1, 1]


def test_a_gap_is_told_where_it_is_met_and_only_there() -> None:
    labeller = Judge(FakeSession(tiny_card("stream"), levels))
    told = []
    for index, segment in enumerate([3, 3, 5, 5]):
        labeller.feed(grey(index, index / 10, segment=segment), "a")
        told.append(labeller.intake.restart)
    assert told == [None, None, "gap", None]


def test_a_stretch_whose_first_frame_never_came_starts_anew_with_its_second() -> None:
    recorder = Recorder()
    session = FakeSession(tiny_card("stream"), recorder)
    intake, labeller = Intake(session.card), Labeller(session)
    for index, segment in enumerate([0, 0, 1, 1]):
        prepared = intake.take(grey(index, index / 10, segment=segment))
        if prepared and index != 2:
            labeller.feed(prepared, "a")
    assert recorder.seen == [[0], [0, 1], [3]]


def test_sources_that_share_a_model_do_not_see_each_other() -> None:
    recorder = Recorder()
    session = FakeSession(tiny_card("stream"), recorder)
    judges = [Judge(session), Judge(session)]
    for index in range(3):
        for number, judge in enumerate(judges):
            judge.feed(grey(100 * number + index, index / 10), str(number))
    assert recorder.seen == [[0], [100], [0, 1], [100, 101], [0, 1, 2], [100, 101, 102]]


def test_a_change_of_size_starts_the_window_anew() -> None:
    recorder = Recorder()
    labeller = Judge(FakeSession(tiny_card("stream"), recorder))
    told = []
    for index, hw in enumerate([(12, 16), (12, 16), (16, 12), (16, 12)]):
        decision = labeller.feed(grey(index, index / 10, hw), "a")
        assert decision is not None
        told.append(labeller.intake.restart)
    assert recorder.seen == [[0], [0, 1], [2], [2, 3]]
    assert decision.window_fill == 0.5
    assert told == [None, None, "size", None]


def test_scores_are_a_softmax_best_first() -> None:
    logits = np.array([1.0, 3.0, 2.0], np.float32)
    labeller = Judge(FakeSession(tiny_card("stream"), lambda frames: logits), topk=2)
    decision = labeller.feed(grey(0, 0), "a")
    assert decision is not None
    expected = np.exp([3, 2]) / np.exp([1, 2, 3]).sum()
    assert [best.label for best in decision.topk] == ["light", "reddish"]
    assert [best.score for best in decision.topk] == pytest.approx(expected)
    assert (decision.label, decision.score) == ("light", decision.topk[0].score)


def test_huge_logits_do_not_overflow() -> None:
    logits = np.array([-3e38, 3e38, 0], np.float32)
    labeller = Judge(FakeSession(tiny_card("stream"), lambda frames: logits))
    decision = labeller.feed(grey(0, 0), "a")
    assert decision is not None
    assert [best.score for best in decision.topk] == [1, 0, 0]


def test_of_several_label_groups_the_first_is_told() -> None:
    import dataclasses

    groups = (LabelGroup("verb", ("take", "put")), LabelGroup("noun", ("cup",)))
    card = dataclasses.replace(tiny_card("stream"), label_groups=groups)
    logits = np.array([0.0, 1.0, 9.0], np.float32)
    labeller = Judge(FakeSession(card, lambda frames: logits))
    decision = labeller.feed(grey(0, 0), "a")
    assert decision is not None
    assert [best.label for best in decision.topk] == ["put", "take"]


def test_labels_that_can_apply_at_once_have_scores_of_their_own() -> None:
    import dataclasses

    groups = (LabelGroup("tag", ("fast", "slow", "near"), exclusive=False),)
    card = dataclasses.replace(tiny_card("stream"), label_groups=groups)
    logits = np.array([2.0, 1.0, -3e38], np.float32)
    labeller = Judge(FakeSession(card, lambda frames: logits))
    decision = labeller.feed(grey(0, 0), "a")
    assert decision is not None
    expected = [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-1)), 0]
    assert [best.score for best in decision.topk] == pytest.approx(expected)


def test_latencies_are_measured_and_add_up() -> None:
    clock = FakeClock(5.0)

    def answer(frames: np.ndarray) -> np.ndarray:
        clock.advance(0.010)
        return levels(frames)

    def load() -> np.ndarray:
        clock.advance(0.003)
        return np.zeros((4, 4, 3), np.uint8)

    labeller = Judge(FakeSession(tiny_card("stream"), answer), clock=clock)
    frame = Frame(0, 0.0, clock.now(), 2.0, load, clock)
    clock.advance(0.5)  # waiting
    decision = labeller.feed(frame, "a")
    assert decision is not None
    latency = decision.latency_ms
    assert latency.decode == pytest.approx(5)
    assert latency.infer == pytest.approx(10)
    assert latency.total == pytest.approx(2 + 500 + 3 + 10)


def test_the_record_has_the_contracts_fields() -> None:
    labeller = Judge(FakeSession(tiny_card("stream"), levels))
    decision = labeller.feed(grey(0, 0.04), "clip.mp4", dropped=3)
    assert decision is not None
    record = decision.to_record()
    latency = record.pop("latency_ms")
    assert set(latency) == {"decode", "preprocess", "infer", "post", "total"}
    assert record == {
        "source": "clip.mp4",
        "frame": 0,
        "time_s": 0.04,
        "label": "reddish",
        "score": pytest.approx(0.576117, abs=1e-6),
        "topk": [
            {"label": "reddish", "score": pytest.approx(0.576117, abs=1e-6)},
            {"label": "dark", "score": pytest.approx(0.211942, abs=1e-6)},
            {"label": "light", "score": pytest.approx(0.211942, abs=1e-6)},
        ],
        "window_fill": 0.25,
        "dropped": 3,
        "warming_up": True,
    }


@pytest.mark.parametrize("options", [{"topk": 0}, {"stride": 0}])
def test_options_out_of_range_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="at least 1, got 0"):
        Labeller(FakeSession(tiny_card("stream"), levels), **options)
