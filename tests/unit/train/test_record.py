from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effvit_edge.core.card import LabelGroup
from effvit_edge.core.clock import FakeClock
from effvit_edge.train.board import FOLDER, NO_BOARD
from effvit_edge.train.eta import RunPlan
from effvit_edge.train.journal import read_journal
from effvit_edge.train.metrics import Report
from effvit_edge.train.progress import LineReporter
from effvit_edge.train.record import CURVES, JOURNAL, Recorder

PLAN = RunPlan(total_steps=6, eval_every=3, checkpoint_every=2)


def a_report() -> Report:
    report = Report((LabelGroup("class", ("a", "b")),))
    report.add("x", np.array([[1.0, 0.0]], np.float32), np.array([[0]]), per_frame=False)
    return report


def record(step: int, loss: float | None = 1.5) -> dict[str, Any]:
    return {"step": step, "lr": 0.1, "loss": loss, "accuracy": 0.5, "grad_norm": 2.0}


def recorder(folder: Path, clock: FakeClock, **changes: Any) -> Recorder:
    keywords = {"log_every": 2, "tensorboard": False, "reporter": LineReporter(6), **changes}
    return Recorder(folder, PLAN, clock=clock, **keywords)


def run(folder: Path, steps: range, **changes: Any) -> None:
    clock = FakeClock()
    with recorder(folder, clock, first_step=steps.start - 1, **changes) as notes:
        for step in steps:
            clock.advance(2.0)
            notes.step(record(step), samples=4, waited_seconds=0.5)
            if step % 3 == 0:
                with notes.evaluating() as tick:
                    clock.advance(100.0)
                    tick(1, 1)
                notes.evaluation(a_report())


def scalars(folder: Path) -> dict[str, list[int]]:
    """Steps of each tag, as TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(folder / FOLDER))
    board.Reload()
    return {tag: [e.step for e in board.Scalars(tag)] for tag in board.Tags()["scalars"]}


def test_steps_and_evaluations_reach_the_journal(tmp_path: Path) -> None:
    run(tmp_path, range(1, 7))
    records = read_journal(tmp_path / JOURNAL)
    assert [r["step"] for r in records if "loss" in r] == [1, 2, 3, 4, 5, 6]
    assert [r["step"] for r in records if "eval" in r] == [3, 6]
    # Two steps of two seconds and four clips; then one, because an evaluation starts anew.
    assert [r["samples_per_second"] for r in records if "samples_per_second" in r] == [2, 2, 2]
    assert {r["data_wait_share"] for r in records if "data_wait_share" in r} == {0.25}
    assert [r["elapsed_seconds"] for r in records if "eval" in r] == [106, 212]
    assert records[-1]["seconds_left"] == 0


def test_pictures_are_there_after_an_evaluation(tmp_path: Path) -> None:
    run(tmp_path, range(1, 4))
    for name in (CURVES, "confusion.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_what_is_said_says_how_good_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, range(1, 4))
    assert "step 3: top-1 100.0% (commonest class 100.0%) of 1" in capsys.readouterr().err


def test_tensorboard_shows_each_step_once_after_a_kill(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run(tmp_path, range(1, 7), tensorboard=True, log_every=1)
    run(tmp_path, range(5, 7), tensorboard=True, log_every=1)  # killed after 6, kept at 4
    shown = scalars(tmp_path)
    assert shown["train/loss"] == [1, 2, 3, 4, 5, 6]
    assert shown["eval/top1"] == [3, 6]
    assert {"train/accuracy", "train/learning_rate", "speed/data_wait_share"} <= shown.keys()


def test_without_tensorboard_it_is_said_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    run(tmp_path, range(1, 3), tensorboard=True)
    assert NO_BOARD in capsys.readouterr().err
    assert len(read_journal(tmp_path / JOURNAL)) == 2
    assert not (tmp_path / FOLDER).exists()


def test_a_loss_that_is_not_finite_is_named_so(tmp_path: Path) -> None:
    said: list[str] = []

    class Watcher(LineReporter):
        def figures(self, text: str) -> None:
            said.append(text)

    clock = FakeClock()
    with recorder(tmp_path, clock, reporter=Watcher(6), log_every=1) as notes:
        clock.advance(1.0)
        notes.step({"step": 1, "lr": 0.1, "loss": None, "skipped": 1}, 4, 0.0)
    assert said == ["loss not finite  4.0 clips/s  data wait 0%"]
