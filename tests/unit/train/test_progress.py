from __future__ import annotations

import pytest

from effvit_edge.core.clock import FakeClock
from effvit_edge.train.progress import BarReporter, LineReporter


@pytest.mark.parametrize("name", ["song [abc].mp4", "[/abc].mp4", "x" * 200 + " [red]y.mp4"])
def test_what_is_said_above_the_bar_is_said_as_it_is(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with BarReporter(2, 0) as reporter:
        reporter.say(f"1 videos left out. {name}")
    assert f"1 videos left out. {name}\n" in capsys.readouterr().err


def test_in_a_pipe_there_is_a_line_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    clock = FakeClock()
    with LineReporter(1000, clock) as reporter:
        for step in range(1, 151):
            clock.advance(1.0)
            reporter.figures(f"loss {step}")
            reporter.step(step, seconds_left=1000.0 - step if step > 60 else None)
    assert capsys.readouterr().err.splitlines() == [
        "step 60 of 1000 (6%), loss 60",
        "step 120 of 1000 (12%), 15 min left, loss 120",
    ]


def test_a_long_evaluation_is_told_of_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    clock = FakeClock()
    with LineReporter(10, clock) as reporter:
        reporter.figures("loss 1")
        for done in range(1, 101):
            clock.advance(1.0)
            reporter.evaluated(done, 100)
    assert capsys.readouterr().err == "evaluation: 60 of 100 sequences\n"


def test_the_bar_shows_what_is_left_and_goes_when_an_evaluation_ends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    with BarReporter(10, 0) as reporter:
        reporter.figures("loss 1.5")
        reporter.step(5, seconds_left=300.0)
        reporter.evaluated(1, 2)
        reporter.evaluated(2, 2)
    shown = capsys.readouterr().err
    assert "5/10 5 min left loss 1.5" in shown
    assert "evaluate" not in shown  # not a terminal: only what is there at the end is written
