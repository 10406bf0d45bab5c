"""What is exported: a network behind uint8 pixels, with everything a device should not do inside.

Notation: ``B`` batch (cameras), ``T`` frames, ``H W`` pixels. ``B`` is absent from inputs and
outputs unless a batch was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from effvit_edge.core.card import Preprocess
from effvit_edge.nn import EfficientViT, EfficientViT3d
from effvit_edge.nn.timeline import LoweredClip


class Normalize(torch.nn.Module):
    """Pixels ``(F, H, W, 3)`` of 0..255 in float -> ``(F, 3, H, W)`` of the network's scale.

    Kept apart from the first convolution: its zero padding stands for the mean colour, so the mean
    cannot be folded into its bias.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, spec: Preprocess) -> None:
        super().__init__()
        mean, std = (torch.tensor(v, dtype=torch.float64) for v in (spec.mean, spec.std))
        self.register_buffer("scale", (1 / (255 * std)).float().reshape(1, 3, 1, 1))
        self.register_buffer("shift", (-mean / std).float().reshape(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Channels first, so that the constants lie on an outer axis."""
        return pixels.permute(0, 3, 1, 2) * self.scale + self.shift


class StreamGraph(torch.nn.Module):
    """``frame ([B,] H, W, 3)`` uint8 and the state -> ``logits ([B,] classes)`` and the next state.

    Args:
        model: a causal video network, or an image network, which has no state.
        spec: its card's preprocessing.
        batch: ``B``, or None.
        state_names: keys of the state, in the order of the inputs.
    """

    def __init__(
        self, model: EfficientViT, spec: Preprocess, batch: int | None, state_names: Sequence[str]
    ) -> None:
        super().__init__()
        self.model = model
        self.normalize = Normalize(spec)
        self.batch = batch
        self.state_names = tuple(state_names)

    def forward(self, frame: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """One frame; the states lie as in ``state_names``."""
        pixels = frame.float()
        x = self.normalize(pixels if self.batch else pixels.unsqueeze(0))
        if not isinstance(self.model, EfficientViT3d):
            return (_answers(self.model(x), self.batch),)
        logits, after = self.model.step(x, dict(zip(self.state_names, state, strict=True)))
        return (_answers(logits, self.batch), *(after[name] for name in self.state_names))


class ClipGraph(torch.nn.Module):
    """``frames ([B,] T, H, W, 3)`` uint8 -> ``logits ([B,] classes)``."""

    def __init__(self, model: EfficientViT3d, spec: Preprocess, batch: int | None) -> None:
        super().__init__()
        self.model = model
        self.normalize = Normalize(spec)
        self.batch = batch

    def forward(self, frames: Tensor) -> Tensor:
        """One clip, or ``B`` of them."""
        batch = self.batch or 1
        x = self.normalize(_time_major(frames.float(), self.batch))
        time = self.model.clip_timeline(LoweredClip, batch)
        pooled = self.model.features(x, time)
        # the last frame's features: a centred network has the same at every frame
        return _answers(self.model.head.classify(pooled[-batch:]), self.batch)


def _time_major(pixels: Tensor, batch: int | None) -> Tensor:
    """``([B,] T, H, W, 3) -> (T·B, H, W, 3)`` without a tensor of five axes beside the input."""
    if batch is None:
        return pixels
    picture = pixels.shape[2:]
    rows = pixels.reshape(batch, pixels.shape[1], -1)  # (B, T, H·W·3)
    return rows.transpose(0, 1).reshape(-1, *picture)


def _answers(logits: Tensor, batch: int | None) -> Tensor:
    """``(B, classes)``, or ``(classes,)`` where there is no batch."""
    return logits if batch else logits.reshape(-1)
