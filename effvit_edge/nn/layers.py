"""Convolutions, normalisation and activations that every family is built from.

Notation: ``B`` batch, ``C`` channels, ``T`` frames, ``H W`` pixels, ``F = T·B`` frames of a batch,
laid out time-major (frame ``t`` of clip ``b`` at index ``t·B + b``).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from effvit_edge.nn.timeline import Timeline


class Conv(nn.Module):
    """A 2D convolution of each frame, or one that also reaches over ``kernel_frames`` frames.

    The weight is ``(O, I/groups, kh, kw)`` where ``kernel_frames`` is 1, so that image weights fit
    as they are, else ``(O, I/groups, kernel_frames, kh, kw)``, newest frame last. How the taps meet
    in time is the business of the timeline given to ``forward``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
        kernel_frames: int = 1,
        stride_frames: int = 1,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.padding = kernel_size // 2
        self.groups = groups
        self.kernel_frames = kernel_frames
        self.stride_frames = stride_frames
        self.state_key = ""
        taps = () if kernel_frames == 1 else (kernel_frames,)
        shape = (out_channels, in_channels // groups, *taps, kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every tap at random, the fan-in counted over all taps (torch's own Conv3d rule)."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight[0].numel())
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor, time: Timeline) -> Tensor:
        """Convolve in the timeline's layout; lowered: ``(F, I, H, W) -> (F', O, H', W')``."""
        return time.convolve(self, x)

    def convolve_frames(self, x: Tensor, tap: int | None = None, *, bias: bool = True) -> Tensor:
        """One 2D convolution of all frames, with the whole kernel or with one of its taps."""
        weight = self.weight if tap is None else self.weight[:, :, tap]
        return functional.conv2d(
            x, weight, self.bias if bias else None, self.stride, self.padding, 1, self.groups
        )

    def extra_repr(self) -> str:
        """What ``print(model)`` shows."""
        return (
            f"weight={tuple(self.weight.shape)}, stride={self.stride}, groups={self.groups}, "
            f"stride_frames={self.stride_frames}"
        )


class BatchNorm(_BatchNorm):
    """Batch normalisation over axis 1 of frames ``(F, C, H, W)`` or volumes ``(B, C, T, H, W)``."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in (4, 5):
            raise ValueError(f"BatchNorm takes 4 or 5 axes, got {tuple(input.shape)}")


class GeluTanh(nn.Module):
    """GELU in its tanh approximation (Hendrycks and Gimpel 2016, section 2)."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, elementwise."""
        return functional.gelu(x, approximate="tanh")


class RangeSafeGeluTanh(nn.Module):
    """The same function, its cube written as ``x·(1 + c·x²)``: x³ overflows FP16 beyond 40."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, elementwise."""
        inner = x * (1.0 + (0.044715 * x) * x)
        return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * inner))


def make_activation(name: str) -> nn.Module:
    """``hardswish`` or ``gelu_tanh``; ValueError for any other name."""
    if name == "hardswish":
        return nn.Hardswish()
    if name == "gelu_tanh":
        return GeluTanh()
    raise ValueError(f"unknown activation {name!r}; known: hardswish, gelu_tanh")


class ConvNorm(nn.Module):
    """Convolution, BatchNorm where ``norm_eps`` is given, an activation where one is named."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        norm_eps: float | None,
        activation: str | None = None,
        kernel_frames: int = 1,
        stride_frames: int = 1,
    ) -> None:
        super().__init__()
        self.conv = Conv(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            groups=groups,
            bias=norm_eps is None,
            kernel_frames=kernel_frames,
            stride_frames=stride_frames,
        )
        self.norm: nn.Module | None = (
            None if norm_eps is None else BatchNorm(out_channels, eps=norm_eps)
        )
        self.activation = None if activation is None else make_activation(activation)

    def forward(self, x: Tensor, time: Timeline) -> Tensor:
        """Lowered layout: ``(F, I, H, W) -> (F', O, H', W')``."""
        x = self.conv(x, time)
        if self.norm is not None:
            x = self.norm(x)
        return x if self.activation is None else self.activation(x)


class DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016): drops a branch for whole clips while training."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor, time: Timeline) -> Tensor:
        """The branch, or zeros for some clips and the rest scaled up; unchanged in evaluation."""
        if not self.training or self.probability == 0.0:
            return x
        keep = 1.0 - self.probability
        mask = x.new_empty(time.batch_size).bernoulli_(keep).div_(keep)
        mask = mask.repeat(x.shape[0] // time.batch_size)
        return x * mask.view(-1, *([1] * (x.dim() - 1)))

    def extra_repr(self) -> str:
        """What ``print(model)`` shows."""
        return f"{self.probability:g}"
