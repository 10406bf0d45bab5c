"""Small networks and their exported graphs, each made once a test run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import onnx
import torch

from effvit_edge import nn
from effvit_edge.core.card import LabelGroup, Mode, ModelCard, Preprocess
from effvit_edge.export import build_onnx
from effvit_edge.export.presets import settle_statistics

CLASSES = 5
SIZE = 32
B0, L1, IMAGE = "efficientvit3d_b0", "efficientvit3d_l1", "efficientvit_b0"


@dataclass(frozen=True)
class Exported:
    """A network and its graph."""

    model: Any
    card: ModelCard
    proto: onnx.ModelProto
    batch: int | None


def make_model(name: str = B0, **kwargs: Any) -> tuple[Any, ModelCard]:
    """A network with a small head, whose logits do depend on what it sees."""
    torch.manual_seed(0)
    model = nn.create_model(name, num_classes=CLASSES, head_widths=(32, 48), **kwargs).eval()
    settle_statistics(model)
    return model, make_card(model)


def make_card(model: Any, size: int = SIZE) -> ModelCard:
    """A card that fits the network; mean and std differ by channel."""
    spec = Preprocess(size, size, "squash", 1.0, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))
    return ModelCard(
        family="test",
        variant=model.preset_name,
        mode="clip" if model.is_video and not model.causal else "stream",
        num_frames=model.num_frames if model.is_video else 1,
        fps=10.0,
        preprocess=spec,
        label_groups=(LabelGroup("label", tuple("abcde")),),
        network=model.network_kwargs,
        precision="fp32",
        parent_sha256=None,
        provenance={"weights_sha256": "0" * 64},
    )


@cache
def exported(mode: Mode, batch: int | None, name: str, settings: tuple[Any, ...]) -> Exported:
    """The graph of :func:`make_model`; ``settings`` are its keywords as pairs."""
    model, card = make_model(name, **dict(settings))
    return Exported(model, card, build_onnx(model, card, mode=mode, batch=batch), batch)


def stream(name: str = B0, *, batch: int | None = None, **kwargs: Any) -> Exported:
    """A causal network's step, or an image network's."""
    if name != IMAGE:
        kwargs = {"causal": True, "num_frames": 4, **kwargs}
    return exported("stream", batch, name, tuple(sorted(kwargs.items())))


def clip(name: str = B0, *, batch: int | None = None, **kwargs: Any) -> Exported:
    """A network over a clip of four frames."""
    return exported("clip", batch, name, tuple(sorted({"num_frames": 4, **kwargs}.items())))


EVERYWHERE = (3, 3, 3, 3, 3)
# Clips whose frames are treated in a way of their own: at the ends, and fewer after a stage.
REPLICATE: dict[str, Any] = {"temporal_padding": "replicate", "temporal_kernels": EVERYWHERE}
STRIDED: dict[str, Any] = {
    "num_frames": 8,
    "temporal_kernels": EVERYWHERE,
    "temporal_strides": (1, 2, 1, 2, 1),
}
# A few networks that differ in everything a stream depends on.
STREAMS: dict[str, dict[str, Any]] = {
    "default": {},
    "window 1, attention only": {"window": 1, "temporal_kernels": (1, 1, 1, 1, 1)},
    "uneven kernels": {"num_frames": 6, "window": 3, "temporal_kernels": (2, 1, 3, 1, 4)},
    "two cameras": {"batch": 2, "window": 2, "temporal_kernels": EVERYWHERE},
    "l1": {"name": L1, "num_frames": 2},
}
