"""What is timed: each network behind uint8 pixels, with cast and scale inside, as our exports are.

Notation: ``T`` frames, ``H W`` pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from effvit_edge.core.card import IMAGENET_MEAN, IMAGENET_STD, Preprocess
from effvit_edge.export.graphs import Normalize
from effvit_edge.export.onnx import trace

_SEED = 0
_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)


class StepGraph(nn.Module):
    """``frame (H, W, 3)`` uint8 and the state -> ``logits (classes,)`` and the next state."""

    def __init__(self, network: nn.Module, size: int) -> None:
        super().__init__()
        self.network = network
        self.normalize = _normalize(size)

    def forward(self, frame: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """One frame."""
        step: Any = self.network.step
        logits, *after = step(self.normalize(frame.float().unsqueeze(0)), *state)
        return (logits[0], *after)


class ClipGraph(nn.Module):
    """``frames (T, H, W, 3)`` uint8 -> ``logits (classes,)``.

    Args:
        network: takes ``(1, 3, T, H, W)``, or ``(T, 3, H, W)`` where it is lowered.
        size: ``H`` and ``W``.
        is_lowered: which of the two.
    """

    def __init__(self, network: nn.Module, size: int, *, is_lowered: bool = False) -> None:
        super().__init__()
        self.network = network
        self.normalize = _normalize(size)
        self.is_lowered = is_lowered

    def forward(self, frames: Tensor) -> Tensor:
        """One clip."""
        x = self.normalize(frames.float())
        logits: Tensor = self.network(x if self.is_lowered else x.transpose(0, 1).unsqueeze(0))
        return logits[0]


def step_onnx(network: Any, size: int) -> onnx.ModelProto:
    """The ONNX graph of one step, with inputs ``frame`` and ``state_0`` onwards."""
    state = network.init_state(size)
    names = [f"state_{number}" for number in range(len(state))]
    frame = torch.zeros(size, size, 3, dtype=torch.uint8)
    return trace(
        StepGraph(network, size),
        [frame, *state],
        ["frame", *names],
        ["logits", *(f"next_{name}" for name in names)],
    )


def clip_onnx(network: nn.Module, frames: int, size: int, *, is_lowered: bool) -> onnx.ModelProto:
    """The ONNX graph of one clip, with the input ``frames``."""
    clip = torch.zeros(frames, size, size, 3, dtype=torch.uint8)
    graph = ClipGraph(network, size, is_lowered=is_lowered)
    return trace(graph, [clip], ["frames"], ["logits"])


def settle(network: nn.Module, example: Sequence[int]) -> nn.Module:
    """Give every norm the statistics of one seeded input, as training would leave them.

    With those of a new network the signal fades layer by layer, down to numbers so small that a
    processor takes longer for them.
    """
    norms = [module for module in network.modules() if isinstance(module, _NORMS)]
    momenta = [norm.momentum for norm in norms]
    generator = torch.Generator().manual_seed(_SEED)
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.randn(*example, generator=generator))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return network.eval()


def _normalize(size: int) -> Normalize:
    return Normalize(Preprocess(size, size, "short_side", 1.0, IMAGENET_MEAN, IMAGENET_STD))
