"""One step of the optimiser, on this process's share of a batch.

Notation: B clips of this process, T frames, H W pixels, G label groups, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from effvit_edge.core.card import Preprocess
from effvit_edge.nn.layers import BatchNorm
from effvit_edge.train.average import AveragedWeights
from effvit_edge.train.distributed import Group
from effvit_edge.train.mixing import Mix, draw_mix
from effvit_edge.train.objective import Objective, normalise
from effvit_edge.train.optim import set_rate
from effvit_edge.train.perframe import PerFrame
from effvit_edge.train.precision import Precision
from effvit_edge.train.recipe import Recipe

_STREAM = 0x57E9
"""Keeps the random numbers of steps apart from those of clips."""


@dataclass(frozen=True)
class Outcome:
    """What a step came to; the same in every process."""

    rate: float
    loss: float
    """Of the whole batch, as it was before the step."""
    right: Tensor
    """``(G,)``: the share of answers that were right, for each label group."""
    gradient_norm: float
    """Before clipping."""
    finite: bool
    """Otherwise nothing was changed by the step."""
    overflow: bool
    """Not finite only because the scaled loss was too large for half precision, which the scaler
    has mended for the next step."""
    stop: bool
    """Some process was asked to stop."""


class Stepper:
    """Trains a network, one batch after another.

    Everything random in a step (dropout, stochastic depth, mixing) is drawn from the recipe's seed,
    the step's number and the process's rank. Nothing random is carried from step to step, so that a
    resumed run draws what the uninterrupted one would have.

    Args:
        network: on its device, every norm in the mode it is to train in.
        optimizer: of its parameters.
        objective: the loss.
        recipe: everything else.
        spec: how clips are normalised.
        precision: number format.
        group: the processes that train together.
        average: takes in the weights after each step.
    """

    def __init__(
        self,
        network: PerFrame,
        optimizer: Optimizer,
        objective: Objective,
        *,
        recipe: Recipe,
        spec: Preprocess,
        precision: Precision,
        group: Group,
        average: AveragedWeights | None = None,
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.precision = precision
        self._objective = objective
        self._recipe = recipe
        self._spec = spec
        self._group = group
        self._average = average
        self._parallel = group.parallel(network)
        self._forward = torch.compile(self._parallel) if recipe.speed.compile else self._parallel
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        self._buffers = list(network.buffers())
        self._kept = [torch.empty_like(buffer) for buffer in self._buffers]
        self._own_statistics = _own_statistics(network) if group.world > 1 else []

    def __call__(
        self,
        step: int,
        rate: float,
        clips: Tensor,
        targets: Tensor,
        *,
        stop_requests: Sequence[int] = (),
    ) -> Outcome:
        """Take one step; one that is not finite changes nothing.

        Args:
            step: its number, from 0.
            rate: the learning rate.
            clips: ``(B, T, H, W, 3)`` uint8, on the device.
            targets: ``(B, T, …)``, on the device.
            stop_requests: signals that this process has had when the gradients are there; every
                process learns of any.
        """
        set_rate(self.optimizer, rate)
        torch._foreach_copy_(self._kept, self._buffers)
        figures = self.backward(self._forward, step, clips, targets)
        scaler, scale = self.precision.scaler, self.precision.scale
        scaler.unscale_(self.optimizer)
        limit = self._recipe.optim.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, limit)
        asked = figures.new_full((1,), float(bool(stop_requests)))
        sums = self._group.sum(torch.cat([figures, asked]))
        loss, stops, norm_value = torch.stack([sums[0], sums[-1], norm.to(sums)]).tolist()
        finite = math.isfinite(loss) and math.isfinite(norm_value)
        if finite:
            scaler.step(self.optimizer)
            self._group.average(self._own_statistics)
            if self._average is not None:
                self._average.update()
        else:
            torch._foreach_copy_(self._buffers, self._kept)
        scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return Outcome(
            rate=rate,
            loss=loss,
            right=sums[1:-1],
            gradient_norm=norm_value,
            finite=finite,
            overflow=not finite and math.isfinite(loss) and scale > 1,
            stop=stops > 0,
        )

    def backward(
        self, forward: Callable[[Tensor], Tensor], step: int, clips: Tensor, targets: Tensor
    ) -> Tensor:
        """Add up the gradients of this process's share of a batch.

        Args:
            forward: the network, perhaps compiled or exchanging gradients.
            step: decides what is random.
            clips: ``(B, T, H, W, 3)`` uint8.
            targets: ``(B, T, …)``.

        Returns:
            ``(1 + G,)``: this share's part of the batch's loss, and of what was answered right.
        """
        seed = torch_seed(self._recipe.seed, step, self._group.rank)
        torch.manual_seed(seed)
        mix = draw_mix(
            self._recipe.augment,
            np.random.default_rng(seed),
            height=self._spec.height,
            width=self._spec.width,
        )
        denominator = self._group.sum(self._objective.count(targets))
        parts = self._recipe.optim.accumulate
        total: Tensor | None = None
        for index, (some_clips, some_targets) in enumerate(
            zip(clips.chunk(parts), targets.chunk(parts), strict=True)
        ):
            exchange: AbstractContextManager[None] = nullcontext()
            if index < parts - 1:  # gradients are exchanged once, with the last part's
                exchange = self._group.without_exchange(self._parallel)
            with exchange:
                figures = self._part(forward, some_clips, some_targets, denominator, mix)
            total = figures if total is None else total + figures
        assert total is not None
        return total

    def _part(
        self,
        forward: Callable[[Tensor], Tensor],
        clips: Tensor,
        targets: Tensor,
        denominator: Tensor,
        mix: Mix | None,
    ) -> Tensor:
        frames = normalise(clips, self._spec, self.precision.dtype)
        if mix is not None:
            frames = mix.apply(frames)
        with self.precision.autocast():
            logits = forward(frames)
        loss = self._objective(logits, targets, denominator=denominator, mix=mix)
        # Gradients are averaged over processes, while the denominator is that of all of them.
        self.precision.scaler.scale(loss.total * self._group.world).backward()
        return torch.cat([loss.total.detach()[None], loss.right.to(loss.total)])


def _own_statistics(network: nn.Module) -> list[Tensor]:
    """Running statistics that each process takes from its own batches only."""
    norms = [m for m in network.modules() if type(m) is BatchNorm and m.training]
    return [b for norm in norms for b in norm.buffers() if b.is_floating_point()]


def torch_seed(seed: int, step: int, rank: int) -> int:
    """What torch's generators are seeded with for a step of one process."""
    state = np.random.SeedSequence([seed, _STREAM, step, rank]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))
