"""BatchNorm over the batches of all processes, on any device.

torch's own works on CUDA only; where there is none, the sums go through ``torch.distributed``.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from effvit_edge.nn.layers import BatchNorm


def synchronise_norms(model: nn.Module, device: torch.device) -> None:
    """Put norms over all processes' batches in the place of a network's own, weights and all.

    Args:
        model: the network; changed in place, before an optimiser knows its parameters.
        device: where it will run.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, BatchNorm):
                if device.type == "cuda":
                    synced: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(child)
                else:
                    synced = _synced(child)
                setattr(module, name, synced)


class SyncedBatchNorm(BatchNorm):
    """Normalises by the mean and variance of all processes' batches together.

    Each process counts with the positions it has, so their batches may differ in size. Two passes,
    mean first, as the square of the mean may not be subtracted without losing digits. In
    evaluation, and alone, it is BatchNorm.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(F, C, H, W) -> (F, C, H, W)``; every process must call it."""
        if not self.training or not dist.is_initialized():
            return super().forward(x)
        axes = [axis for axis in range(x.dim()) if axis != 1]
        wide = x if x.dtype == torch.float64 else x.float()
        count = wide.new_full((1,), x.numel() // x.shape[1])
        sums = _sum_over_processes(torch.cat([wide.sum(axes), count]))
        total = sums[-1].detach()
        mean = sums[:-1] / total
        centred = wide - _per_channel(mean, x)
        variance = _sum_over_processes(centred.square().sum(axes)) / total
        if self.track_running_stats:
            self._take_in(mean.detach(), variance.detach() * total / (total - 1).clamp(min=1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * _per_channel(scale, x) + _per_channel(self.bias, x)).to(x.dtype)

    @torch.no_grad()
    def _take_in(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(unbiased_variance, self.momentum)


class _SumOverProcesses(torch.autograd.Function):
    """The sum of every process's tensor; backwards, the sum of every process's gradient."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


def _sum_over_processes(value: Tensor) -> Tensor:
    total: Tensor = _SumOverProcesses.apply(value)  # type: ignore[no-untyped-call]
    return total


def _synced(norm: BatchNorm) -> SyncedBatchNorm:
    synced = SyncedBatchNorm(norm.num_features, eps=norm.eps, momentum=norm.momentum)
    synced.to(norm.weight.device, norm.weight.dtype)
    synced.load_state_dict(norm.state_dict())
    for name, parameter in norm.named_parameters():
        synced.get_parameter(name).requires_grad_(parameter.requires_grad)
    return synced.train(norm.training)


def _per_channel(values: Tensor, x: Tensor) -> Tensor:
    """``(C,)``, to be combined with ``x`` along axis 1."""
    return values.view(1, -1, *([1] * (x.dim() - 2)))
