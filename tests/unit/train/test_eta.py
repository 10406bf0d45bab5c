from __future__ import annotations

from dataclasses import replace

import pytest

from effvit_edge.core.clock import FakeClock
from effvit_edge.train.eta import Eta, RunPlan, in_words

PLAN = RunPlan(total_steps=1000, eval_every=100, checkpoint_every=250)
STEP, EVALUATION, CHECKPOINT = 0.5, 20.0, 3.0
EXPECTED = 18.0  # of an evaluation, before the first


class Run:
    """A run whose steps, evaluations and checkpoints take known times."""

    def __init__(self, plan: RunPlan = PLAN, first_step: int = 0) -> None:
        self.plan, self.at = plan, first_step
        self.clock = FakeClock()
        self.eta = Eta(plan, first_step, self.clock)
        self.eta.expect_evaluation(EXPECTED)

    def go(self, steps: int, step_seconds: float = STEP) -> None:
        for _ in range(steps):
            self.at += 1
            self.clock.advance(step_seconds)
            self.eta.step_done()
            last = self.at == self.plan.total_steps
            every = self.plan.eval_every
            evaluates = last or (every and self.at % every == 0)
            if evaluates or self.at % self.plan.checkpoint_every == 0:
                self.save()
            if evaluates:
                with self.eta.evaluating():
                    self.clock.advance(EVALUATION)
                self.save()

    def save(self) -> None:
        with self.eta.saving():
            self.clock.advance(CHECKPOINT)


@pytest.mark.parametrize("eval_every", [0, 100, 300, 333])
@pytest.mark.parametrize("checkpoint_every", [100, 250, 70, 5000])
@pytest.mark.parametrize("seen", [350, 700, 999, 1000])
def test_what_is_left_is_what_then_takes_place(
    eval_every: int, checkpoint_every: int, seen: int
) -> None:
    run = Run(replace(PLAN, eval_every=eval_every, checkpoint_every=checkpoint_every))
    run.go(seen)
    predicted, start = run.eta.seconds_left(), run.clock.now()
    run.go(1000 - seen)
    unmeasured = 0.0
    if eval_every == 0 and seen < 1000:  # the only evaluation is still expected
        unmeasured = EVALUATION - EXPECTED
        if checkpoint_every > seen:  # nor has a checkpoint been written
            unmeasured += 2 * CHECKPOINT
    assert predicted == pytest.approx(run.clock.now() - start - unmeasured, abs=1e-6)


def test_what_follows_the_last_step_is_left_after_it() -> None:
    plan = RunPlan(total_steps=10, eval_every=0, checkpoint_every=4)
    run = Run(plan)
    run.go(9)
    run.at = 10
    run.clock.advance(STEP)
    run.eta.step_done()
    assert run.eta.seconds_left() == CHECKPOINT + EXPECTED + CHECKPOINT
    run.save()
    assert run.eta.seconds_left() == EXPECTED + CHECKPOINT
    with run.eta.evaluating():
        run.clock.advance(EVALUATION)
    assert run.eta.seconds_left() == CHECKPOINT
    run.save()
    assert run.eta.seconds_left() == 0


def test_what_comes_before_the_first_step_is_no_step() -> None:
    run = Run(replace(PLAN, eval_every=0, checkpoint_every=5000))
    run.save()
    run.clock.advance(100.0)
    run.eta.restart()
    run.go(10)
    assert run.eta.seconds_left() == 990 * STEP + EXPECTED + 2 * CHECKPOINT


def test_a_slow_beginning_is_forgotten() -> None:
    run = Run(replace(PLAN, eval_every=0))
    run.go(3, step_seconds=10.0)
    run.go(17)
    left = run.eta.seconds_left()
    start = run.clock.now()
    run.go(980)
    assert left == pytest.approx(run.clock.now() - start, rel=0.05)


def test_two_percent_into_a_run_the_prediction_is_near() -> None:
    run = Run()
    run.go(5, step_seconds=2.0)
    run.go(15)
    left, start = run.eta.seconds_left(), run.clock.now()
    run.go(980)
    assert left == pytest.approx(run.clock.now() - start, rel=0.2)


def test_a_resumed_run_counts_from_where_it_is() -> None:
    run = Run(first_step=900)
    run.go(10)
    left, start = run.eta.seconds_left(), run.clock.now()
    run.go(90)
    assert left == pytest.approx(run.clock.now() - start, rel=0.2)


def test_nothing_is_told_from_the_first_steps() -> None:
    run = Run()
    assert run.eta.seconds_left() is None
    run.go(4)
    assert run.eta.seconds_left() is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (59.6 * 60, "1 h 00 min"),
        (3 * 3600 + 299, "3 h 05 min"),
        (100 * 3600, "4 d 4 h"),
    ],
)
def test_durations_in_words(seconds: float, text: str) -> None:
    assert in_words(seconds) == text
