from __future__ import annotations

import itertools
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from effvit_edge.core.card import LabelGroup
from effvit_edge.core.errors import InputError
from effvit_edge.data.types import IGNORE, LabelledSequence
from effvit_edge.runtime import FakeSession
from effvit_edge.train.evaluate import (
    SessionScorer,
    cut_clips,
    evaluate,
    refuse_empty,
    score_all,
    write_report,
)
from effvit_edge.train.metrics import Report
from effvit_edge.train.metrics.scores import average_precision, sigmoid, softmax
from tests.tiny_models import SIDE, tiny_card

VERBS = LabelGroup("verb", ("take", "put"))
ACTIONS = LabelGroup("action", ("take cup", "take pan", "put cup", "put red pan"))
TAGS = LabelGroup("tag", ("fast", "slow", "near"), exclusive=False)


def classes(*names: str) -> tuple[LabelGroup, ...]:
    return (LabelGroup("class", names or ("a", "b", "c")),)


def answers(*numbers: int, of: int = 3) -> np.ndarray:
    """Confident logits for the given classes, ``(T, of)``."""
    return np.eye(of, dtype=np.float32)[list(numbers)] * 9


def labels(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)[:, None]


def confusion(report: Report) -> list[list[int]]:
    matrix: list[list[int]] = report.to_dict()["confusion"]
    return matrix


def test_a_stream_is_scored_after_warm_up() -> None:
    report = Report(classes(), window_frames=3)
    report.add("right", answers(0, 0, 1, 1), labels(1, 1, 1, 1), per_frame=True)
    report.add("wrong", answers(0, 0, 0, 1), labels(1, 1, 1, IGNORE), per_frame=True)
    assert confusion(report) == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]
    figures = report.summary()
    assert figures["top1"] == 0.5
    assert figures["frame_top1"] == pytest.approx(2 / 3, abs=1e-4)  # the unlabelled one is left out
    assert [error["name"] for error in report.to_dict()["errors"]] == ["wrong"]


def test_the_loss_is_that_of_the_mean_scores_as_torch_has_it() -> None:
    logits = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32)
    report = Report(classes(), window_frames=3)
    for one, truth in zip(logits, (0, 2), strict=True):
        report.add("clip", one, labels(*[truth] * 7), per_frame=True)
    means = torch.from_numpy(logits[:, 2:]).double().softmax(dim=-1).mean(dim=1)
    expected = torch.nn.functional.nll_loss(means.log(), torch.tensor([0, 2]))
    assert report.summary()["loss"] == pytest.approx(expected.item(), abs=1e-4)


def test_a_class_without_any_score_does_not_make_the_loss_infinite() -> None:
    report = Report(classes())
    report.add("sure", answers(0)[:, :3] * 100, labels(1), per_frame=False)
    assert report.summary()["loss"] == pytest.approx(-np.log(1e-9), abs=1e-4)


def test_a_sequence_shorter_than_the_window_is_scored_on_its_last_frame() -> None:
    report = Report(classes(), window_frames=8)
    report.add("short", answers(0, 2), labels(2, 2), per_frame=True)
    assert report.score == 1.0


def test_frames_before_a_segment_are_seen_and_not_scored() -> None:
    report = Report(classes(), window_frames=2)
    lead = (IGNORE,) * 6
    report.add("led", answers(*[0] * 6, 1, 1, 2), labels(*lead, 1, 1, 1), per_frame=True)
    figures = report.summary()
    assert (figures["top1"], figures["end_top1"]) == (1.0, 0.0)
    assert figures["frame_top1"] == pytest.approx(2 / 3, abs=1e-4)


def test_long_sequences_tell_the_first_window_from_the_tenth() -> None:
    report = Report(classes(), window_frames=2)
    report.add("long", answers(*[0] * 19, 1), labels(*[0] * 20), per_frame=True)
    report.add("too short", answers(*[1] * 19), labels(*[0] * 19), per_frame=True)
    unlabelled_start = labels(*[IGNORE] * 2, *[0] * 18)
    report.add("no first window", answers(*[0] * 20), unlabelled_start, per_frame=True)
    figures = report.summary()
    assert (figures["first_window_top1"], figures["ten_windows_top1"]) == (1.0, 0.0)
    assert figures["long_sequences"] == 1


@pytest.mark.parametrize(("forgets", "noted"), [(0, False), (1, False), (2, True)])
def test_a_stream_that_forgets_by_more_than_a_point_is_noted(forgets: int, noted: bool) -> None:
    report = Report(classes("a", "b"), window_frames=2)
    for number in range(100):
        last = 1 if number < forgets else 0
        report.add("long", answers(*[0] * 19, last, of=2), labels(*[0] * 20), per_frame=True)
    assert ("note" in report.summary()) is noted
    assert ("2.0 points worse than the first window" in report.sentence()) is noted


def test_class_means_and_what_a_constant_answer_gets() -> None:
    report = Report(classes())
    for truth, answer in ((0, 0), (0, 0), (0, 1), (1, 1)):
        report.add("x", answers(answer), labels(truth), per_frame=False)
    figures = report.summary()
    assert (figures["top1"], figures["majority"]) == (0.75, 0.75)
    assert figures["mean_class"] == pytest.approx((2 / 3 + 1) / 2, abs=1e-4)
    assert figures["majority_mean_class"] == 0.5
    assert report.to_dict()["per_class"] == {"a": 0.6667, "b": 1.0}


def test_five_answers_are_looked_at_where_there_are_more_classes() -> None:
    names = [f"c{i}" for i in range(7)]
    report = Report(classes(*names))
    falling = -np.arange(7, dtype=np.float32)[None]
    for truth in range(7):
        report.add("x", falling, labels(truth), per_frame=False)
    figures = report.summary()
    assert (figures["top5"], figures["majority_top5"]) == (round(5 / 7, 4),) * 2
    assert "top5" not in Report(classes()).summary()


def test_equal_scores_are_no_five_right_answers() -> None:
    report = Report(classes(*[f"c{i}" for i in range(7)]))
    report.add("x", np.zeros((1, 7), np.float32), labels(6), per_frame=False)
    assert report.summary()["top5"] == 0.0


def test_clips_and_views_are_averaged_as_shares() -> None:
    report = Report(classes())
    logits = np.array([[0, 9, 0], [1, 0, 0], [1, 0, 0]], np.float32)
    report.add("views", logits, labels(1), per_frame=False)
    mean = softmax(logits).mean(axis=0)
    assert mean.argmax() == 1 and report.score == 1.0


def test_each_group_has_its_own_figures() -> None:
    report = Report((VERBS, LabelGroup("noun", ("cup", "pan", "tap"))))
    logits = np.concatenate([answers(0, 1, of=2), answers(2, 0)], axis=1)
    report.add("x", logits[:1], np.array([[0, 1]]), per_frame=False)
    report.add("y", logits[1:], np.array([[1, IGNORE]]), per_frame=False)
    figures = report.summary()
    assert (figures["top1"], figures["groups"]["verb"]["top1"]) == (1.0, 1.0)
    assert (figures["groups"]["noun"]["top1"], figures["groups"]["noun"]["sequences"]) == (0.0, 1)
    assert report.sentence() == (
        "verb top-1 100.0% (commonest class 50.0%), noun top-1 0.0% (commonest class 100.0%) of 2"
    )


def test_verbs_and_nouns_are_summed_over_the_actions_that_have_them() -> None:
    report = Report((ACTIONS,))
    # put cup is the best action, but take has more in sum; the noun of "put red pan" is "red pan".
    shares = np.array([[0.3, 0.28, 0.4, 0.02]], np.float32)
    report.add("x", np.log(shares), labels(0), per_frame=False)
    figures = report.summary()
    assert figures["top1"] == 0.0
    assert figures["marginal"]["verb"]["top1"] == 1.0
    assert figures["marginal"]["noun"]["top1"] == 1.0
    both = "verb top-1 100.0% (commonest class 100.0%), noun top-1 100.0% (commonest class 100.0%)"
    assert f"by the actions' scores {both}" in report.sentence()
    report.add("y", np.log(shares), labels(3), per_frame=False)
    assert report.summary()["marginal"]["noun"]["top1"] == 0.5


def test_average_precision_is_the_mean_of_the_precisions_at_each_hit() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        applies = random.random(8) < 0.5
        if not applies.any():
            continue
        scores = random.permutation(8).astype(np.float32)  # no two are equal
        order = sorted(range(8), key=lambda i: -scores[i])
        precisions = [
            sum(applies[order[: rank + 1]]) / (rank + 1)
            for rank in range(8)
            if applies[order[rank]]
        ]
        expected = sum(precisions) / len(precisions)
        assert average_precision(scores, applies) == pytest.approx(expected)


def test_equal_scores_pass_the_threshold_together() -> None:
    applies = np.array([True, False, False, True])
    assert average_precision(np.zeros(4, np.float32), applies) == pytest.approx(0.5)
    # Two thresholds: 1 of 2 right, then 2 of 4.
    scores = np.array([1, 1, 0, 0], np.float32)
    assert average_precision(scores, applies) == pytest.approx(0.5 * 0.5 + 0.5 * 0.5)


def test_several_labels_are_scored_by_their_mean_average_precision() -> None:
    report = Report((TAGS,))
    logits = np.array([[2, -1, 0], [1, 3, 0], [-2, 1, 0]], np.float32)
    truths = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]])
    for row, truth in zip(logits, truths, strict=True):
        report.add("x", row[None], truth[None], per_frame=False)
    fast = (1 / 1 + 2 / 3) / 2  # found first and last of three
    figures = report.to_dict()
    assert figures["per_class"] == {"fast": round(fast, 4), "slow": 1.0}  # near never applies
    assert figures["map"] == round((fast + 1) / 2, 4)
    assert figures["prevalence_map"] == round(2 / 3, 4)
    assert report.score == pytest.approx((fast + 1) / 2)
    assert report.sentence().startswith("mAP 91.7% (equal scores 66.7%) of 3")


def test_a_stream_of_several_labels_is_also_scored_at_its_end() -> None:
    report = Report((TAGS,), window_frames=2)
    ends = np.array([[9, 9, 0], [0, 0, 9], [-3, 0, 0]], np.float32)
    unlabelled = np.full((1, 3), IGNORE)
    report.add("x", ends, np.concatenate([unlabelled, [[0, 0, 1]], [[1, 0, 0]]]), per_frame=True)
    report.add("y", ends[::-1], np.concatenate([unlabelled, [[0, 1, 0]] * 2]), per_frame=True)
    assert report.summary()["end_map"] == pytest.approx((0.5 + 1.0) / 2)


def test_sigmoids_do_not_overflow() -> None:
    assert sigmoid(np.array([-1e4, 0, 1e4], np.float32)).tolist() == [0, 0.5, 1]


def parts_and_whole(groups: tuple[LabelGroup, ...]) -> tuple[Report, Report]:
    """A report of 20 random sequences, and one merged of two parts of them."""
    random = np.random.default_rng(1)
    width = sum(len(group.labels) for group in groups)
    whole, parts = Report(groups, 2), (Report(groups, 2), Report(groups, 2))
    for number in range(20):
        logits = random.normal(size=(25, width)).astype(np.float32)
        if groups[0].exclusive:
            targets = np.tile([random.integers(len(g.labels)) for g in groups], (25, 1))
        else:
            targets = np.tile(random.integers(2, size=width), (25, 1))
        for report in (whole, parts[number % 2]):
            report.add(f"{number:02d}", logits, targets, per_frame=True)
    merged = pickle.loads(pickle.dumps(parts[0]))
    merged.merge(pickle.loads(pickle.dumps(parts[1])))
    return merged, whole


@pytest.mark.parametrize("groups", [classes(), (VERBS, ACTIONS), (TAGS,)])
def test_merged_parts_are_the_whole(groups: tuple[LabelGroup, ...]) -> None:
    merged, whole = parts_and_whole(groups)
    assert merged.to_dict() == whole.to_dict()


def test_thousands_of_classes_have_no_matrix() -> None:
    report = Report(classes(*[f"c{i}" for i in range(3806)]))
    for truth, answer in itertools.product((5, 3805), (7, 3805)):
        report.add("x", answers(answer, of=3806), labels(truth), per_frame=False)
    figures = report.to_dict()
    assert "confusion" not in figures
    expected = [[5, 7, 1], [5, 3805, 1], [3805, 7, 1], [3805, 3805, 1]]
    assert figures["confusion_pairs"] == expected
    assert len(json.dumps(figures)) < 200_000


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

    def __init__(self, *names: str, groups: tuple[LabelGroup, ...] | None = None) -> None:
        self.groups = groups or classes(*names)
        self.names = names
        self.failures: list[str] = []

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> LabelledSequence | None:
        name = self.names[index]
        if name == "broken":
            self.failures.append("broken: cannot be read.")
            return None
        frames = np.full((6, SIDE, SIDE, 3), 20 if name == "dark" else 230, np.uint8)
        targets = np.full((6, len(self.groups)), index, dtype=np.int64)
        return LabelledSequence(name, frames, targets)


class Views(Sequences):
    """The same as two views of four frames each."""

    def __getitem__(self, index: int) -> LabelledSequence | None:
        whole = super().__getitem__(index)
        assert whole is not None
        views = np.stack([whole.frames[:4], whole.frames[2:]])
        return LabelledSequence(whole.name, views, whole.targets[-1:])


def dark_or_light(frames: np.ndarray) -> np.ndarray:
    bright = frames.mean() > 128
    return np.array([not bright, bright, False], np.float32)


@pytest.mark.parametrize("mode", ["stream", "clip"])
def test_a_session_is_scored_by_the_names_of_its_classes(tmp_path: Path, mode: str) -> None:
    session = FakeSession(tiny_card(mode), dark_or_light)  # type: ignore[arg-type]
    report = evaluate(SessionScorer(session), Sequences("light", "dark"))
    assert report.score == 1.0
    assert ("frame_top1" in report.summary()) is (mode == "stream")
    write_report(report, tmp_path, "fake")
    assert (tmp_path / "evaluation.json").read_text(encoding="utf-8").startswith("{")
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("mode", ["stream", "clip"])
def test_views_are_answered_once_each(mode: str) -> None:
    session = FakeSession(tiny_card(mode), dark_or_light)  # type: ignore[arg-type]
    scorer, sequences = SessionScorer(session), Views("light", "dark")
    sequence = sequences[0]
    assert sequence is not None
    assert scorer(sequence.frames).shape == (2, 3)
    report = evaluate(scorer, sequences)
    assert report.score == 1.0
    assert "frame_top1" not in report.summary()


def test_what_cannot_be_read_is_passed_over_and_counted() -> None:
    ticks: list[tuple[int, int]] = []
    sequences = Sequences("dark", "broken", groups=classes("dark"))
    session = FakeSession(tiny_card("stream"), dark_or_light)
    report = evaluate(
        SessionScorer(session), sequences, tick=lambda done, of: ticks.append((done, of))
    )
    assert report.sequences == 1
    assert ticks == [(1, 2), (2, 2)]


def test_an_evaluation_of_nothing_is_refused_but_a_share_of_nothing_is_not() -> None:
    sequences = Sequences("broken", groups=classes("dark"))
    session = FakeSession(tiny_card("stream"), dark_or_light)
    report = score_all(SessionScorer(session), sequences)
    assert report.summary() == {"sequences": 0}
    with pytest.raises(InputError, match=r"None of 1 sequences.*broken: cannot be read"):
        refuse_empty(report, len(sequences), sequences.failures)


def test_a_class_the_model_does_not_know_is_refused() -> None:
    session = FakeSession(tiny_card("stream"), dark_or_light)
    with pytest.raises(InputError, match="the class 'blue', which this model does not know"):
        evaluate(SessionScorer(session), Sequences("dark", "blue"))
