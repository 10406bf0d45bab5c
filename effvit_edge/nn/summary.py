"""What a preset costs: parameters, multiply-accumulates, state. Counted without allocating."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from effvit_edge.nn.efficientvit.model import EfficientViT, EfficientViT3d
from effvit_edge.nn.registry import create_model


@dataclass(frozen=True)
class PresetSummary:
    """Cost of one preset at one input size.

    MACs count convolutions, linear layers and the attention's matrix products, as the papers do.
    """

    name: str
    parameters: int
    macs_per_frame: int
    """One image, or one streaming step of the causal network."""
    macs_per_clip: int | None
    """One clip of ``num_frames``; None for an image preset."""
    state_bytes: int | None
    """Streaming state in float32; None for an image preset."""


def summarize(name: str, *, size: int = 224, num_frames: int = 8, **kwargs: Any) -> PresetSummary:
    """Count a preset at ``size × size`` pixels; video presets as causal networks.

    Raises:
        ValueError: unknown preset.
    """
    with torch.device("meta"):
        model = create_model(name, **kwargs).eval()
        if not isinstance(model, EfficientViT3d):
            frame = torch.empty(1, 3, size, size)
            return PresetSummary(name, _parameters(model), _macs(model, frame), None, None)
        model = create_model(name, num_frames=num_frames, causal=True, **kwargs).eval()
        assert isinstance(model, EfficientViT3d)
        state = model.init_state(1, size, size)
        frame, clip = torch.empty(1, 3, size, size), torch.empty(1, 3, num_frames, size, size)
    return PresetSummary(
        name,
        _parameters(model),
        _macs(model.step, frame, state),
        _macs(model, clip),
        sum(t.numel() * 4 for t in state.values()),
    )


def _parameters(model: EfficientViT) -> int:
    return sum(p.numel() for p in model.parameters())


def _macs(call: Any, *args: Any) -> int:
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        call(*args)
    return int(counter.get_total_flops()) // 2  # torch counts two operations a MAC
