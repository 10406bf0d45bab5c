"""Averaged weights, which evaluate better than those of the last step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class AveragedWeights:
    """Exponential moving average of a model's parameters and norm statistics.

    Early on the average follows faster, so that it does not remember the random start.

    Args:
        model: whose tensors are followed; they must stay the same objects.
        decay: share of the past in each update.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._model = model
        state = model.state_dict()
        self._present = {n: value for n, value in state.items() if value.is_floating_point()}
        self.values = {name: value.clone() for name, value in self._present.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the model's present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        values, present = list(self.values.values()), list(self._present.values())
        torch._foreach_lerp_(values, present, 1 - decay)

    def state_dict(self) -> dict[str, Tensor]:
        """The model's state with the averaged values in place of its own."""
        return {**self._model.state_dict(), **self.values}

    @torch.no_grad()
    def restore(self, values: dict[str, Tensor], updates: int) -> None:
        """Go on from the values and the count of an earlier process."""
        for name, value in self.values.items():
            value.copy_(values[name])
        self.updates = updates

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within it, the model has the averaged weights."""
        present, values = list(self._present.values()), list(self.values.values())
        own = [value.clone() for value in present]
        with torch.no_grad():
            torch._foreach_copy_(present, values)
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(present, own)
