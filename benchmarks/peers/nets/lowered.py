"""A network of 3D convolutions as one of 2D convolutions, with the same weights.

Runtimes have fast 2D convolutions and, for depthwise ones above all, slow 3D ones. Our own clip
form is lowered in this way; this gives a peer the same. Frames lie on the batch axis:
``(T, C, H, W)``.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from benchmarks.peers.nets.x3d import GlobalMean


def lowered(network: nn.Module) -> nn.Module:
    """A copy that takes ``(T, C, H, W)`` of one clip where the original took ``(1, C, T, H, W)``.

    Args:
        network: of convolutions without stride in time, norms, ``GlobalMean`` and what works on any
            shape.

    Raises:
        ValueError: a convolution has a stride or a dilation in time, or does not keep the frames.
    """
    result = copy.deepcopy(network)
    for name, module in list(result.named_modules()):
        other = _lowered(module)
        if other is not None:
            result.set_submodule(name, other)
    return result


def _lowered(module: nn.Module) -> nn.Module | None:
    if isinstance(module, nn.Conv3d):
        return FramesConvolution(module)
    if isinstance(module, nn.BatchNorm3d):
        norm = nn.BatchNorm2d(module.num_features, eps=module.eps).to(module.weight)
        norm.load_state_dict(module.state_dict())
        return norm.train(module.training)
    return FramesMean() if isinstance(module, GlobalMean) else None


class FramesMean(nn.Module):
    """``(T, C, H, W)`` -> ``(1, C, 1, 1)``."""

    def forward(self, x: Tensor) -> Tensor:
        """The mean over the clip."""
        return x.mean((0, 2, 3), keepdim=True)


class FramesConvolution(nn.Module):
    """A 3D convolution as one 2D convolution per frame of its kernel, of inputs moved in time."""

    def __init__(self, original: nn.Conv3d) -> None:
        super().__init__()
        frames = original.kernel_size[0]
        if original.stride[0] != 1 or original.padding[0] != frames // 2:
            raise ValueError(f"{original} does not keep the number of frames.")
        if any(size != 1 for size in original.dilation):
            raise ValueError(f"{original} is dilated.")
        self.taps = nn.ModuleList(_tap(original, number) for number in range(frames))

    def forward(self, x: Tensor) -> Tensor:
        """``(T, C, H, W)``."""
        middle = len(self.taps) // 2
        total: Tensor = self.taps[middle](x)
        for number, tap in enumerate(self.taps):
            if number != middle:
                total = total + tap(_moved(x, middle - number))
        return total


def _tap(original: nn.Conv3d, number: int) -> nn.Conv2d:
    tap = nn.Conv2d(
        original.in_channels,
        original.out_channels,
        (original.kernel_size[1], original.kernel_size[2]),
        (original.stride[1], original.stride[2]),
        (int(original.padding[1]), int(original.padding[2])),
        groups=original.groups,
        bias=original.bias is not None and number == original.kernel_size[0] // 2,
    )
    with torch.no_grad():
        tap.to(original.weight)
        tap.weight.copy_(original.weight[:, :, number])
        if tap.bias is not None and original.bias is not None:
            tap.bias.copy_(original.bias)
    return tap


def _moved(x: Tensor, by: int) -> Tensor:
    """``x`` later by so many frames, or earlier; zeros come in."""
    gap = torch.zeros_like(x[: abs(by)])
    return torch.cat([gap, x[:-by]]) if by > 0 else torch.cat([x[-by:], gap])
