from __future__ import annotations

import pytest

from effvit_edge.live.truth import FrameTruth, Tally, score_film


def film(labels: str, fps: float = 2.0) -> list[FrameTruth]:
    """A letter a frame; a new segment where the letter changes."""
    truth: list[FrameTruth] = []
    for index, label in enumerate(labels):
        changed = bool(truth) and truth[-1].label != label
        segment = truth[-1].segment + changed if truth else 0
        truth.append(FrameTruth(index, index / fps, label, segment))
    return truth


def records(labels: str) -> list[dict[str, object]]:
    """A letter a frame; a dot where no decision was made."""
    return [{"frame": i, "label": label} for i, label in enumerate(labels) if label != "."]


def test_ends_and_settled_frames_are_counted_apart() -> None:
    score = score_film(records("BAAAAABA"), film("AAAABBBB"))
    assert score.ends == Tally(1, 2)
    assert score.settled == Tally(3, 4)
    assert score.settled_by_label == {"A": Tally(2, 2), "B": Tally(1, 2)}
    assert score.ends_by_label == {"A": Tally(1, 1), "B": Tally(0, 1)}
    assert score.mistaken_for == {"B": {"A": 1}}


def test_the_end_is_the_last_decision_about_the_segment() -> None:
    score = score_film(records("..A.B..."), film("AAAABBBB"))
    assert score.ends == Tally(2, 2)
    assert score.settled == Tally(1, 1)


def test_the_settling_time_starts_with_each_segment() -> None:
    perfect = score_film(records("AABBAA"), film("AABBAA"), settle_seconds=0.5)
    assert perfect.settled == Tally(3, 3)
    assert perfect.settled.share == 1


def test_nothing_decided_is_no_share() -> None:
    score = score_film([], film("AB"))
    assert score.ends.share == score.settled.share == pytest.approx(0)
