from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from effvit_edge.core.errors import InputError
from effvit_edge.data.types import LabelledSequence
from effvit_edge.runtime import FakeSession
from effvit_edge.train.evaluate import SessionScorer, cut_clips, evaluate, write_report
from effvit_edge.train.metrics import Report
from tests.tiny_models import SIDE, tiny_card


def answers(*classes: int, of: int = 3) -> np.ndarray:
    """Confident logits for the given classes, ``(T, of)``."""
    return np.eye(of, dtype=np.float32)[list(classes)] * 9


def labels(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def test_a_stream_is_scored_after_warm_up() -> None:
    report = Report(("a", "b", "c"), window_frames=3, per_frame=True)
    report.add("right", answers(0, 0, 1, 1), labels(1, 1, 1, 1))
    report.add("wrong", answers(0, 0, 0, 1), labels(1, 1, 1, -1))
    assert report.confusion.tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]
    figures = report.summary()
    assert figures["top1"] == 0.5
    assert figures["frame_top1"] == pytest.approx(2 / 3, abs=1e-4)  # the unlabelled one is left out
    assert [error["name"] for error in report.errors] == ["wrong"]


def test_a_sequence_shorter_than_the_window_is_scored_on_its_last_frame() -> None:
    report = Report(("a", "b", "c"), window_frames=8, per_frame=True)
    report.add("short", answers(0, 2), labels(2, 2))
    assert report.top1 == 1.0


def test_long_sequences_tell_the_first_window_from_the_tenth() -> None:
    report = Report(("a", "b", "c"), window_frames=2, per_frame=True)
    report.add("long", answers(*[0] * 19, 1), labels(*[0] * 20))
    report.add("too short", answers(*[1] * 19), labels(*[0] * 19))
    figures = report.summary()
    assert (figures["first_window_top1"], figures["ten_windows_top1"]) == (1.0, 0.0)
    assert figures["long_sequences"] == 1


@pytest.mark.parametrize(("forgets", "noted"), [(0, False), (1, False), (2, True)])
def test_a_stream_that_forgets_by_more_than_a_point_is_noted(forgets: int, noted: bool) -> None:
    report = Report(("a", "b"), window_frames=2, per_frame=True)
    for number in range(100):
        last = 1 if number < forgets else 0
        report.add("long", answers(*[0] * 19, last, of=2), labels(*[0] * 20))
    assert ("note" in report.summary()) is noted
    assert ("2.0 points worse than the first window" in report.sentence()) is noted


def test_class_means_and_majority() -> None:
    report = Report(("a", "b", "c"), window_frames=1, per_frame=False)
    for truth, answer in ((0, 0), (0, 0), (0, 1), (1, 1)):
        report.add("x", answers(answer), labels(truth))
    figures = report.summary()
    assert (figures["top1"], figures["majority"]) == (0.75, 0.75)
    assert figures["mean_class"] == pytest.approx((2 / 3 + 1) / 2, abs=1e-4)
    assert report.per_class() == {"a": 0.6667, "b": 1.0}


@pytest.mark.parametrize(
    ("frames", "starts"), [(2, [0]), (4, [0]), (5, [0, 1]), (10, [0, 3, 6]), (100, [0, 48, 96])]
)
def test_clips_are_spread_over_a_sequence(frames: int, starts: list[int]) -> None:
    sequence = np.arange(frames, dtype=np.uint8)[:, None, None, None]
    clips = cut_clips(sequence, 4, 3)
    assert all(len(clip) == 4 for clip in clips)
    assert [int(clip[0, 0, 0, 0]) for clip in clips] == starts
    assert int(clips[-1][-1, 0, 0, 0]) == frames - 1


class Sequences:
    """Grey sequences: dark ones and light ones."""

    def __init__(self, *names: str) -> None:
        self.labels = names
        self.failures: list[str] = []

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self):  # type: ignore[no-untyped-def]
        for number, name in enumerate(self.labels):
            frames = np.full((6, SIDE, SIDE, 3), 20 if name == "dark" else 230, np.uint8)
            yield LabelledSequence(name, frames, np.full(6, number, dtype=np.int64))


def dark_or_light(frames: np.ndarray) -> np.ndarray:
    bright = frames.mean() > 128
    return np.array([not bright, bright, False], np.float32)


@pytest.mark.parametrize("mode", ["stream", "clip"])
def test_a_session_is_scored_by_the_names_of_its_classes(tmp_path: Path, mode: str) -> None:
    session = FakeSession(tiny_card(mode), dark_or_light)  # type: ignore[arg-type]
    report = evaluate(SessionScorer(session), Sequences("light", "dark"))
    assert report.top1 == 1.0
    write_report(report, tmp_path, "fake")
    assert (tmp_path / "evaluation.json").read_text(encoding="utf-8").startswith("{")
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_a_class_the_model_does_not_know_is_refused() -> None:
    session = FakeSession(tiny_card("stream"), dark_or_light)
    with pytest.raises(InputError, match="the class 'blue', which this model does not know"):
        evaluate(SessionScorer(session), Sequences("dark", "blue"))
