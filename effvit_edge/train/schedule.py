"""How long a run is, when it evaluates, and how its learning rate goes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from effvit_edge.core.errors import InputError
from effvit_edge.train.recipe import Recipe


@dataclass(frozen=True)
class Schedule:
    """A recipe's lengths in steps."""

    total_steps: int
    warmup_steps: int
    eval_every: int
    """0: at the end only."""
    peak_rate: float
    min_ratio: float
    """The last rate, as a share of the peak."""

    def rate(self, step: int) -> float:
        """Linear warm-up, then half a cosine down to the floor.

        Args:
            step: the step about to be taken, from 0.
        """
        if step < self.warmup_steps:
            return self.peak_rate * (step + 1) / self.warmup_steps
        span = max(1, self.total_steps - self.warmup_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, (step - self.warmup_steps) / span)))
        return self.peak_rate * (self.min_ratio + (1 - self.min_ratio) * cosine)

    def evaluates_after(self, steps_done: int) -> bool:
        """Whether an evaluation is due when so many steps are done."""
        if steps_done == self.total_steps:
            return True
        return self.eval_every > 0 and steps_done % self.eval_every == 0


def make_schedule(recipe: Recipe, epoch_clips: int | None) -> Schedule:
    """Turn epochs into steps.

    Args:
        recipe: gives lengths in steps or in epochs.
        epoch_clips: clips in one pass over the data; None where it has no end.

    Raises:
        InputError: a length in epochs for data without end.
    """
    optim = recipe.optim

    def steps(epochs: float) -> int:
        if epoch_clips is None:
            raise InputError("This data has no epochs; give lengths in steps.")
        return math.ceil(epochs * epoch_clips / optim.batch_size)

    total = optim.steps or max(1, optim.min_steps, steps(optim.epochs))
    warmup = steps(optim.warmup_epochs) if optim.warmup_epochs else optim.warmup_steps
    by_epochs = recipe.eval.every_epochs
    return Schedule(
        total_steps=total,
        warmup_steps=warmup,
        eval_every=steps(by_epochs) if by_epochs else recipe.eval.every,
        peak_rate=optim.lr,
        min_ratio=optim.min_lr_ratio,
    )
