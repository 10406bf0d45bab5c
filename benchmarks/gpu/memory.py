"""The memory that training keeps between forward and backward, counted without computing."""

from __future__ import annotations

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from effvit_edge import nn
from effvit_edge.train.objective import frame_logits


def saved_bytes(
    preset: str,
    *,
    size: int,
    frames: int,
    causal: bool = False,
    window: int = 8,
    recompute: bool = False,
) -> int:
    """Bytes of activations that one more clip adds, under bfloat16 autocast.

    A count of what autograd keeps, of tensors that hold nothing: what a CUDA device needs on top
    (work space of its kernels, what lives only for a moment) is not in it, and its autocast keeps
    a few operations in float32 that a CPU's does not.

    Args:
        preset: name of a video network.
        size: pixels a side.
        frames: of a clip.
        causal: frames see their past only.
        window: of the attention, where causal.
        recompute: blocks keep their input only.
    """
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = nn.create_model(
            preset, num_classes=3806, num_frames=window if causal else frames, causal=causal
        ).train()
        model.recompute = recompute
        # One clip alone would be a special case of norms; weights in half are kept once.
        return _kept(model, 3, frames, size) - _kept(model, 2, frames, size)


def _kept(model: nn.EfficientViT, batch: int, frames: int, size: int) -> int:
    """Bytes of all tensors that the forward pass of a batch keeps."""
    kept: dict[int, Tensor] = {}  # the tensors live, so that no address is used twice

    def pack(tensor: Tensor) -> Tensor:
        kept[_storage(tensor)] = tensor
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", torch.bfloat16):
        frame_logits(model, torch.empty(batch, 3, frames, size, size))
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
