"""The forms that are compared, each as an ONNX file of random weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from effvit_edge.core.card import Mode, Preprocess
from effvit_edge.export import build_onnx, random_preset
from effvit_edge.export.onnx import trace
from effvit_edge.nn import EfficientViT3d, fuse_for_inference
from effvit_edge.nn.efficientvit.builders import Five
from effvit_edge.nn.efficientvit.presets import DEFAULT_TEMPORAL_KERNELS
from effvit_edge.nn.timeline import VolumeClip

EVERYWHERE: Five = (3, 3, 3, 3, 3)
ATTENTION_ONLY: Five = (1, 1, 1, 1, 1)
CONV3D, LOWERED, IMAGE = "conv3d_clip", "lowered_clip", "image"


@dataclass(frozen=True)
class Form:
    """One graph to be timed."""

    name: str
    path: Path


def step_name(kernels: Five) -> str:
    """The name of a step's form."""
    known = {
        EVERYWHERE: "step_everywhere",
        DEFAULT_TEMPORAL_KERNELS: "step_default",
        ATTENTION_ONLY: "step_attention_only",
    }
    return known.get(kernels, "step_" + "".join(str(k) for k in kernels))


def build_forms(
    folder: Path, variant: str, size: int, frames: int, steps: list[Five]
) -> list[Form]:
    """Export every form into ``folder``; a file that is there already is taken as it is.

    Args:
        folder: where the ONNX files go.
        variant: ``b0`` to ``l3``.
        size: side of the square input, pixels.
        frames: clip length, and window of the steps.
        steps: temporal kernels of each streaming network.
    """
    forms = []
    for name in (CONV3D, LOWERED, IMAGE, *(step_name(kernels) for kernels in steps)):
        forms.append(Form(name, folder / f"{variant}-{size}-{frames}-{name}.onnx"))
    for form, kernels in zip(forms, [EVERYWHERE, EVERYWHERE, None, *steps], strict=True):
        if not form.path.is_file():
            form.path.write_bytes(_export(form.name, variant, size, frames, kernels))
    return forms


def _export(name: str, variant: str, size: int, frames: int, kernels: Five | None) -> bytes:
    if kernels is None:
        model, card = random_preset(f"efficientvit_{variant}", "stream", input_size=size)
        return bytes(build_onnx(model, card, mode="stream").SerializeToString())
    mode: Mode = "stream" if name.startswith("step") else "clip"
    model, card = random_preset(
        f"efficientvit3d_{variant}",
        mode,
        num_frames=frames,
        input_size=size,
        temporal_kernels=kernels,
    )
    if name != CONV3D:
        return bytes(build_onnx(model, card, mode=mode).SerializeToString())
    assert isinstance(model, EfficientViT3d)
    graph = Conv3dClip(fuse_for_inference(model), card.preprocess)
    example = torch.zeros(frames, size, size, 3, dtype=torch.uint8)
    return bytes(trace(graph, [example], ["frames"], ["logits"]).SerializeToString())


class Conv3dClip(torch.nn.Module):
    """The same network by plain 3D convolutions: what exporting it without lowering gives."""

    scale: Tensor
    shift: Tensor

    def __init__(self, model: EfficientViT3d, spec: Preprocess) -> None:
        super().__init__()
        self.model = model
        mean, std = torch.tensor(spec.mean), torch.tensor(spec.std)
        self.register_buffer("scale", (1 / (255 * std)).reshape(3, 1, 1, 1))
        self.register_buffer("shift", (-mean / std).reshape(3, 1, 1, 1))

    def forward(self, frames: Tensor) -> Tensor:
        """``(T, H, W, 3)`` uint8 -> ``(classes,)``."""
        x = frames.float().permute(3, 0, 1, 2) * self.scale + self.shift
        time = self.model.clip_timeline(VolumeClip, 1)
        pooled = self.model.features(x.unsqueeze(0), time)
        return self.model.head.classify(pooled[-1:]).reshape(-1)
