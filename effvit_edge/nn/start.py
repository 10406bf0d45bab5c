"""Where training from scratch starts: a network in which motion reaches the head from step one.

With every weight drawn at random, what little the stem sees of motion is gone two stages later (a
linear read-out of the pooled features tells nine motions at chance), and training stays at chance
for hundreds of steps. Three changes keep it (docs/decisions.md has the figures).
"""

from __future__ import annotations

import torch

from effvit_edge.nn.efficientvit.blocks import (
    AttentionBlock,
    DepthwiseSeparable,
    FusedMBConv,
    MBConv,
    ResBlock,
)
from effvit_edge.nn.efficientvit.model import EfficientViT
from effvit_edge.nn.layers import BatchNorm, Conv, ConvNorm


@torch.no_grad()
def start_from_scratch(model: EfficientViT) -> None:
    """Rework the random weights of a new network for training without image weights.

    * Every second filter of the first temporal convolution (the stem's, by default) has taps that
      sum to zero over time: it sees change only, and its norm brings the change to the size of the
      picture.
    * Temporal convolutions after it start as the 2D convolution of the newest frame (of the middle
      one where centred). Their other taps are learnt from zero, which works because the first
      convolution's are not zero.
    * Residual branches start at zero (Goyal et al. 2017, section 5.1).
    """
    temporal = [m for m in model.modules() if isinstance(m, Conv) and m.kernel_frames > 1]
    for conv in temporal[:1]:
        change = conv.weight[::2]
        conv.weight[::2] = change - change.mean(2, keepdim=True)
    for conv in temporal[1:]:
        present = conv.kernel_frames - 1 if model.causal else conv.kernel_frames // 2
        kept = conv.weight[:, :, present].clone()
        conv.weight.zero_()
        conv.weight[:, :, present] = kept
    for module in model.modules():
        if isinstance(module, DepthwiseSeparable):
            _start_at_zero(module.point_conv)
        elif isinstance(module, ResBlock):
            _start_at_zero(module.conv2)
        elif isinstance(module, AttentionBlock):
            _start_at_zero(module.attention.proj)
        elif isinstance(module, (MBConv, FusedMBConv)) and module.residual:
            _start_at_zero(module.point_conv)


def _start_at_zero(last: ConvNorm) -> None:
    assert isinstance(last.norm, BatchNorm)
    last.norm.weight.zero_()
