from __future__ import annotations

import threading
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from effvit_edge.core.clock import FakeClock
from effvit_edge.sinks.web.board import Board


def _event(number: int, end: float | None = None, source: str = "a") -> dict[str, Any]:
    return {"id": number, "source": source, "label": "x", "start_s": 0.0, "end_s": end}


def test_a_viewer_is_told_everything_once_and_then_what_changed() -> None:
    board = Board(FakeClock())
    board.put_label({"source": "a", "frame": 1})
    board.put_label({"source": "b", "frame": 1})
    board.put_event(_event(0))
    board.put_status({"sources": []})
    first = board.changes(0, 0)
    assert first is not None
    number, everything = first
    assert everything == {
        "run": board.run,
        "labels": {"a": {"source": "a", "frame": 1}, "b": {"source": "b", "frame": 1}},
        "events": [_event(0)],
        "status": {"sources": []},
    }
    assert everything == board.snapshot()
    assert board.changes(number, 0) is None
    board.put_label({"source": "b", "frame": 2})
    second = board.changes(number, 0)
    assert second is not None
    assert second[1]["labels"] == {"b": {"source": "b", "frame": 2}}
    assert second[1]["events"] == []
    assert second[1]["status"] is None


def test_an_event_that_ends_replaces_its_beginning() -> None:
    board = Board(FakeClock())
    for event in (_event(0), _event(1), _event(0, end=2.0), _event(0, source="b")):
        board.put_event(event)
    assert board.snapshot()["events"] == [_event(1), _event(0, end=2.0), _event(0, source="b")]


@given(puts=st.integers(0, 700), viewer_every=st.integers(1, 700))
def test_what_is_kept_is_bounded_and_the_newest_of_it(puts: int, viewer_every: int) -> None:
    board = Board(FakeClock())
    since, told = 0, []
    for number in range(puts):
        board.put_event(_event(number))
        board.put_label({"source": f"file {number}"})
        if number % viewer_every == 0:
            found = board.changes(since, 0)
            assert found is not None
            since = found[0]
            told += [event["id"] for event in found[1]["events"]]
    kept = board.snapshot()
    assert [event["id"] for event in kept["events"]] == list(range(max(0, puts - 300), puts))
    assert len(kept["labels"]) == min(puts, 256)
    # A viewer that comes before what it has not seen is replaced is told of every event, once.
    if viewer_every <= 300:
        assert told == list(range(len(told)))


def test_who_waits_is_woken_by_a_change_and_by_the_end() -> None:
    board = Board(FakeClock())
    results: list[Any] = []
    waiting = threading.Thread(target=lambda: results.append(board.changes(0, 60)))
    waiting.start()
    board.put_label({"source": "a"})
    waiting.join(60)
    number = results[0][0]
    waiting = threading.Thread(target=lambda: results.append(board.changes(number, 60)))
    waiting.start()
    board.close()
    waiting.join(60)
    assert results[1] is None


def test_it_knows_the_sources_it_was_told_of() -> None:
    board = Board(FakeClock())
    board.put_label({"source": "a"})
    board.put_status({"sources": [{"source": "b"}]})
    assert [board.knows(name) for name in "abc"] == [True, True, False]


def test_the_age_of_the_status_is_the_clocks() -> None:
    clock = FakeClock(100)
    board = Board(clock)
    assert board.status_age() is None
    board.put_status({"sources": []})
    clock.advance(2.5)
    assert board.status_age() == 2.5
