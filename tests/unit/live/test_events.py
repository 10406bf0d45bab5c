from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, strategies

from effvit_edge.core.errors import InputError
from effvit_edge.live import (
    Candidate,
    Decision,
    Event,
    EventRules,
    EventTracker,
    Latency,
    Smoothing,
)

LABELS = ("wave", "clap", "rest")
PLAIN = Smoothing()


def decision(time: float, scores: list[float], fill: float = 1.0) -> Decision:
    values = np.array(scores)
    best = int(values.argmax())
    return Decision(
        "cam",
        round(time * 10),
        time,
        (Candidate(LABELS[best], scores[best]),),
        fill,
        Latency(0, 0, 0, 0, 0),
        0,
        values,
    )


def followed(
    rules: EventRules, scores: list[list[float]], fills: list[float] | None = None
) -> tuple[list[Event], list[Event], list[str | None]]:
    """Events as they began, as they ended, and the label of each decision's event; 10 a second."""
    tracker = EventTracker(rules, LABELS, "cam")
    changes: list[Event] = []
    marks = []
    for index, values in enumerate(scores):
        fill = fills[index] if fills else 1.0
        seen, changed = tracker.follow(decision(index / 10, values, fill))
        changes += changed
        marks.append(seen.event.label if seen.event else None)
    changes += tracker.end()
    began = [event for event in changes if event.end_seconds is None]
    return began, [event for event in changes if event.end_seconds is not None], marks


def wave(score: float) -> list[float]:
    return [score, 0.0, 1 - score]


def spans(events: list[Event]) -> list[tuple[str, float, float | None]]:
    return [(event.label, event.start_seconds, event.end_seconds) for event in events]


def test_an_action_is_from_the_threshold_to_below_threshold_less_hysteresis() -> None:
    rules = EventRules(PLAIN, threshold=0.6, hysteresis=0.1, min_seconds=0)
    scores = [0.5, 0.61, 0.55, 0.51, 0.49, 0.55, 0.3]
    began, ended, marks = followed(rules, [[score, 0, 0] for score in scores])
    assert spans(began) == [("wave", 0.1, None)]
    assert spans(ended) == [("wave", 0.1, 0.4)]
    assert ended[0].score == 0.61
    assert marks == [None, "wave", "wave", "wave", None, None, None]


def test_another_label_takes_over_where_it_leads_by_more_than_the_hysteresis() -> None:
    rules = EventRules(PLAIN, threshold=0.4, hysteresis=0.1, min_seconds=0)
    scores = [[0.5, 0.45, 0], [0.45, 0.5, 0], [0.42, 0.55, 0], [0.1, 0.8, 0]]
    _, ended, marks = followed(rules, scores)
    assert spans(ended) == [("wave", 0.0, 0.2), ("clap", 0.2, 0.3)]
    assert marks == ["wave", "wave", "clap", "clap"]


def test_a_short_action_is_not_told_and_a_longer_one_has_its_true_beginning() -> None:
    rules = EventRules(PLAIN, threshold=0.5, hysteresis=0, min_seconds=0.3)
    scores = [0, 0.9, 0.9, 0.9, 0, 0.9, 0.9, 0.9, 0.9, 0.9, 0]
    began, ended, marks = followed(rules, [[score, 0, 0] for score in scores])
    assert spans(began) == [("wave", 0.5, None)]
    assert spans(ended) == [("wave", 0.5, 1.0)]
    assert marks == [None] * 8 + ["wave"] * 2 + [None]


def test_what_goes_on_at_the_end_ends_where_it_was_last_seen() -> None:
    rules = EventRules(PLAIN, min_seconds=0)
    _, ended, _ = followed(rules, [wave(0.9)] * 4)
    assert spans(ended) == [("wave", 0.0, pytest.approx(0.3))]


def test_a_window_that_starts_anew_ends_the_event_where_it_was_last_seen() -> None:
    rules = EventRules(PLAIN, min_seconds=0)
    fills = [0.5, 1, 1, 0.5, 1, 1]
    _, ended, marks = followed(rules, [wave(0.9)] * 6, fills)
    assert spans(ended) == [("wave", 0.1, 0.2), ("wave", 0.4, 0.5)]
    assert marks == [None, "wave", "wave", None, "wave", "wave"]


def test_smoothing_begins_anew_after_a_pause() -> None:
    rules = EventRules(Smoothing("exp", 100.0), threshold=0.5, min_seconds=0)
    scores = [wave(0.9), wave(0.9), wave(0.9), [0, 0.9, 0]]
    _, ended, _ = followed(rules, scores, [1, 1, 0.5, 1])
    assert [event.label for event in ended] == ["wave", "clap"]


def test_the_exponential_delays_a_step_by_its_closed_form() -> None:
    seconds, threshold = 0.5, 0.6
    rules = EventRules(Smoothing("exp", seconds), threshold, 0.0, 0.0)
    scores = [[0.0, 0, 0]] + [[1.0, 0, 0]] * 10
    began, _, _ = followed(rules, scores)
    crossing = -seconds * np.log(1 - threshold)  # 0.46 s after the last zero
    assert began[0].start_seconds == pytest.approx(np.ceil(crossing * 10) / 10)


score = strategies.lists(strategies.floats(0, 1), min_size=3, max_size=3)


@given(
    scores=strategies.lists(score, min_size=1, max_size=60),
    fills=strategies.data(),
    threshold=strategies.floats(0, 1),
    hysteresis=strategies.floats(0, 1),
    min_seconds=strategies.sampled_from([0.0, 0.2, 0.5]),
    smoothing=strategies.sampled_from([PLAIN, Smoothing("exp", 0.3), Smoothing("window", 0.4)]),
)
def test_events_never_overlap_and_all_end(
    scores: list[list[float]],
    fills: strategies.DataObject,
    threshold: float,
    hysteresis: float,
    min_seconds: float,
    smoothing: Smoothing,
) -> None:
    rules = EventRules(smoothing, threshold, hysteresis, min_seconds)
    drawn = [fills.draw(strategies.sampled_from([1.0, 1.0, 1.0, 0.5])) for _ in scores]
    began, ended, _ = followed(rules, scores, drawn)
    assert [event.id for event in began] == [event.id for event in ended]
    assert [event.id for event in ended] == list(range(1, len(ended) + 1))
    for event in ended:
        assert event.end_seconds is not None
        assert event.end_seconds >= event.start_seconds + min_seconds - 1e-9
        assert event.score >= threshold - 1e-9
    for first, second in itertools.pairwise(ended):
        assert first.end_seconds is not None
        assert first.end_seconds <= second.start_seconds


def test_the_record_of_an_event() -> None:
    event = Event(3, "cam", "wave", 0.1234567, 1.0, None)
    expected = {"id": 3, "source": "cam", "label": "wave", "score": 0.123457, "start_s": 1.0}
    assert event.to_record() == {**expected, "end_s": None}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"threshold": 1.5}, "threshold must lie between 0 and 1, got 1.5"),
        ({"hysteresis": -0.1}, "hysteresis must lie between 0 and 1, got -0.1"),
        ({"min_seconds": -1.0}, "must not be negative, got -1 s"),
        ({"min_seconds": float("nan")}, "must not be negative"),
    ],
)
def test_rules_out_of_range_are_refused(values: dict[str, float], told: str) -> None:
    with pytest.raises(InputError, match=told):
        EventRules(**values)  # type: ignore[arg-type]
