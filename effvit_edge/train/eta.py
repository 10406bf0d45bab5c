"""How long a run still takes: its steps, and the evaluations and checkpoints among them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from effvit_edge.core.clock import Clock

_FEWEST_STEPS = 5
"""The first steps fill caches and wait for the first data: nothing is told from fewer."""


@dataclass(frozen=True)
class RunPlan:
    """What a run consists of."""

    total_steps: int
    eval_every: int
    """Steps between evaluations; 0: one at the end. There always is one at the end."""
    checkpoint_every: int
    """Steps between checkpoints. There is one before each evaluation too, and one after it."""

    def evaluations_after(self, step: int) -> int:
        """How many follow the steps after ``step``; there are no steps before 0."""
        if step >= self.total_steps:
            return 0
        return self._multiples(self.eval_every, step) + 1

    def checkpoints_after(self, step: int) -> int:
        """How many follow the steps after ``step``; one that is due twice is written once.

        Those that follow an evaluation are not counted.
        """
        if step >= self.total_steps:
            return 0
        both = math.lcm(self.eval_every, self.checkpoint_every)
        own = self._multiples(self.checkpoint_every, step)
        return own + self._multiples(self.eval_every, step) - self._multiples(both, step) + 1

    def _multiples(self, of: int, step: int) -> int:
        """How many lie after ``step`` and before the last step; none of 0."""
        return (self.total_steps - 1) // of - max(step, 0) // of if of else 0


class Eta:
    """Measures a run as it goes and tells what is left.

    A step's time is the mean over the later half of those seen, so that a slow beginning is
    forgotten; an evaluation's and a checkpoint's is that of the last one.

    Args:
        plan: what the run consists of.
        first_step: where it starts, when resumed.
        clock: seconds from anywhere.
    """

    def __init__(self, plan: RunPlan, first_step: int, clock: Clock) -> None:
        self._plan = plan
        self._step = self._evaluated = self._saved = first_step
        self._clock = clock
        self.restart()
        self._evaluation = 0.0
        self._checkpoint = 0.0
        self._unsaved = False

    def restart(self) -> None:
        """The first step begins now."""
        self._marks = [self._clock.now()]  # working time at the start and after each step
        self._paused = 0.0

    def expect_evaluation(self, seconds: float) -> None:
        """What an evaluation probably takes, until one has been measured."""
        self._evaluation = seconds

    def step_done(self) -> None:
        """One more step is done."""
        self._step += 1
        self._marks.append(self._clock.now() - self._paused)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Around an evaluation."""
        start = self._clock.now()
        yield
        self._evaluation = self._pause(start)
        self._evaluated = self._step
        self._unsaved = True

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Around the writing of a checkpoint."""
        start = self._clock.now()
        yield
        self._checkpoint = self._pause(start)
        self._saved = self._step
        self._unsaved = False

    def seconds_left(self) -> float | None:
        """Until the run is over; None where too little has been seen to tell."""
        steps_left = self._plan.total_steps - self._step
        seen = len(self._marks) - 1
        if seen < _FEWEST_STEPS:
            return None
        half = seen // 2
        step_seconds = (self._marks[-1] - self._marks[half]) / (seen - half)
        # What follows this very step is still to come, unless it has been.
        evaluated = max(self._evaluated, self._step - 1)
        saved = max(self._saved, self._step - 1)
        evaluations = self._plan.evaluations_after(evaluated)
        checkpoints = self._plan.checkpoints_after(saved) + evaluations + self._unsaved
        return (
            steps_left * step_seconds
            + evaluations * self._evaluation
            + checkpoints * self._checkpoint
        )

    def _pause(self, start: float) -> float:
        """How long a pause since ``start`` was; it belongs to no step."""
        seconds = self._clock.now() - start
        self._paused += seconds
        return seconds


def in_words(seconds: float) -> str:
    """A duration for people: ``40 s``, ``12 min``, ``3 h 05 min``, ``2 d 4 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(minutes / 60)
    return f"{hours // 24} d {hours % 24} h"
