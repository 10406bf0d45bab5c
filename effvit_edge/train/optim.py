"""The optimiser, its schedule, and averaged weights."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from effvit_edge.train.sections import OptimRecipe


def make_optimizer(model: nn.Module, recipe: OptimRecipe) -> torch.optim.AdamW:
    """AdamW; weight decay on matrices and kernels only, not on norms and biases."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=recipe.betas)


def learning_rate(step: int, total_steps: int, recipe: OptimRecipe) -> float:
    """Linear warm-up, then half a cosine down to ``lr * min_lr_ratio``.

    Args:
        step: the step about to be taken, from 0.
        total_steps: length of the run.
        recipe: peak rate, warm-up and floor.
    """
    if step < recipe.warmup_steps:
        return recipe.lr * (step + 1) / recipe.warmup_steps
    span = max(1, total_steps - recipe.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, (step - recipe.warmup_steps) / span)))
    return recipe.lr * (recipe.min_lr_ratio + (1 - recipe.min_lr_ratio) * cosine)


class AveragedWeights:
    """Exponential moving average of a model's parameters; other buffers are copied.

    Early on the average follows faster, so that it does not remember the random start.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.values = {name: value.detach().clone() for name, value in _floating(model)}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the model's present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        values, present = [], []
        for name, value in _floating(model):
            values.append(self.values[name])
            present.append(value.detach())
        torch._foreach_lerp_(values, present, 1 - decay)

    def state_dict(self, model: nn.Module) -> dict[str, Tensor]:
        """The model's state with the averaged values in place of its own."""
        return {**model.state_dict(), **self.values}


def _floating(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            yield name, value
