"""What a run needs beside the weights to go on exactly, to a checkpoint and back.

No state of random generators is among it: see :class:`effvit_edge.train.step.Stepper`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from effvit_edge.train.average import AveragedWeights
from effvit_edge.train.checkpoint import TrainingState
from effvit_edge.train.optim import optimizer_tensors, restore_optimizer
from effvit_edge.train.precision import Precision

FACTS = ("counters", "ema_updates", "recipe", "total_steps", "world")
"""What a training state must have."""

_MODEL, _OPTIMIZER = "model.", "optimizer."


@dataclass
class Counters:
    """How far a run is."""

    step: int = 0
    skipped: int = 0
    """Steps that changed nothing because a loss or gradient was not finite."""
    skipped_in_a_row: int = 0
    """Of them, those since the last good step that no smaller loss scale explains."""
    best: float = -1.0
    """The best evaluation's score so far."""
    evaluated: int = 0
    """The step of the last evaluation."""


@dataclass
class Parts:
    """What of a run has a state."""

    model: nn.Module
    optimizer: Optimizer
    precision: Precision
    average: AveragedWeights | None

    def weights(self) -> dict[str, Tensor]:
        """The weights to use: averaged where there are such."""
        if self.average is not None:
            return self.average.state_dict()
        return dict(self.model.state_dict())

    def collect(self, counters: Counters, **facts: Any) -> TrainingState:
        """Everything but :meth:`weights`.

        Args:
            counters: of the run.
            **facts: JSON values to keep beside.
        """
        tensors = {_OPTIMIZER + k: v for k, v in optimizer_tensors(self.optimizer).items()}
        if self.average is not None:
            tensors |= {_MODEL + name: value for name, value in self.model.state_dict().items()}
        own = {
            "counters": asdict(counters),
            "ema_updates": self.average.updates if self.average is not None else 0,
            "loss_scale": self.precision.scaler.state_dict(),
        }
        return TrainingState({**facts, **own}, tensors)

    def restore(self, state: TrainingState, weights: dict[str, Tensor]) -> Counters:
        """Go on where :meth:`collect` and :meth:`weights` were called."""
        self.model.load_state_dict(_below(_MODEL, state.tensors) or weights)
        if self.average is not None:
            self.average.restore(weights, state.facts["ema_updates"])
        restore_optimizer(self.optimizer, _below(_OPTIMIZER, state.tensors))
        if state.facts.get("loss_scale"):
            self.precision.scaler.load_state_dict(state.facts["loss_scale"])
        return Counters(**state.facts["counters"])


def _below(prefix: str, tensors: Any) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
