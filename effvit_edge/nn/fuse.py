"""A network made ready for inference: BatchNorm folded, activations safe in half precision."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

from effvit_edge.nn.efficientvit.model import EfficientViT
from effvit_edge.nn.layers import BatchNorm, ConvNorm, GeluTanh, RangeSafeGeluTanh

_Network = TypeVar("_Network", bound=EfficientViT)


def fuse_for_inference(model: _Network) -> _Network:
    """A copy in evaluation mode that computes the same with fewer operations.

    Every BatchNorm goes into the convolution before it, all temporal taps alike, because the norm
    acts on their sum; exporters only fold a norm that follows a single convolution. GELU's tanh
    form is written without a cube (FP16 overflows at 40 otherwise).
    """
    fused = copy.deepcopy(model).eval().requires_grad_(False)
    for module in fused.modules():
        if isinstance(module, ConvNorm):
            _fold_norm(module)
        for name, child in module.named_children():
            if isinstance(child, GeluTanh):
                setattr(module, name, RangeSafeGeluTanh().eval())
    return fused


def _fold_norm(layer: ConvNorm) -> None:
    norm = layer.norm
    if not isinstance(norm, BatchNorm):
        return
    assert norm.running_mean is not None and norm.running_var is not None
    # double, so that folding adds no rounding of its own
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    weight = layer.conv.weight
    per_output = scale.view(-1, *([1] * (weight.dim() - 1)))
    layer.conv.weight = nn.Parameter((weight.double() * per_output).to(weight.dtype), False)
    bias = norm.bias.double() - norm.running_mean.double() * scale
    layer.conv.bias = nn.Parameter(bias.to(weight.dtype), False)
    layer.norm = None
