"""Networks with random numbers in every tensor, and how far two answers lie apart."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.timm_shim import import_timm

IMAGE_SIZE = 64
VARIANTS = ("b0", "b1", "b2", "b3", "l1", "l2", "l3")


def randomise(network: nn.Module, seed: int = 0) -> None:
    """Random weights, and random affine parameters and statistics in every norm, in place.

    Identity norms, zero biases and unit variances would hide what was not loaded. The weights are
    large enough that signals reach the logits: an answer that hardly depends on its input proves
    nothing.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor: Tensor, low: float, high: float) -> None:
        tensor.copy_(torch.empty(tensor.shape).uniform_(low, high, generator=generator))

    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                assert module.running_mean is not None and module.running_var is not None
                uniform(module.running_mean, -0.2, 0.2)
                uniform(module.running_var, 0.5, 1.5)
            if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.LayerNorm):
                uniform(module.weight, 0.7, 1.3)
                uniform(module.bias, -0.2, 0.2)
            elif isinstance(weight := getattr(module, "weight", None), Tensor):
                bound = weight[0].numel() ** -0.5 * 2.5
                uniform(weight, -bound, bound)
                if isinstance(module.bias, Tensor):
                    uniform(module.bias, -0.2, 0.2)


def create_timm(variant: str) -> nn.Module:
    """timm's image network in evaluation mode, :func:`randomise`\\ d."""
    network: nn.Module = import_timm().create_model(f"efficientvit_{variant}", pretrained=False)
    randomise(network)
    return network.eval()


@functools.lru_cache(maxsize=1)
def timm_weights(variant: str) -> Mapping[str, Tensor]:
    """The state dict of :func:`create_timm`; the last one asked for is kept."""
    return create_timm(variant).state_dict()


def official_names(names: Mapping[str, Any], variant: str) -> dict[str, str]:
    """timm's name -> the official code's, by hand from the two codes, one line a rule."""
    return {name: _official_name(name, variant) for name in names}


def _official_name(name: str, variant: str) -> str:
    large = variant.startswith("l")
    part, _, rest = name.partition(".")
    if part == "stem":
        block, _, rest = rest.partition(".")
        index = 0 if block == "in_conv" else int(block.removeprefix("res")) + 1
        stem = "stages.0" if large else "input_stem"
        return f"backbone.{stem}.op_list.{index}.{rest}"
    if part == "stages":
        stage, blocks, block, rest = rest.split(".", 3)
        assert blocks == "blocks"
        return f"backbone.stages.{int(stage) + large}.op_list.{block}.{rest}"
    heads = {
        "in_conv": "0",
        "classifier.0": "2.linear",
        "classifier.1": "2.norm",
        "classifier.4": "3.linear",
    }
    for theirs, official in heads.items():
        if rest.startswith(theirs + "."):
            return f"head.op_list.{official}{rest[len(theirs) :]}"
    raise AssertionError(name)


def to_official(weights: Mapping[str, Tensor], variant: str) -> dict[str, Tensor]:
    """timm's tensors under the official names."""
    names = official_names(weights, variant)
    return {names[name]: tensor for name, tensor in weights.items()}


def random_image(size: int = IMAGE_SIZE, *, batch: int = 2, seed: int = 1) -> Tensor:
    """``(batch, 3, size, size)``: coloured squares under noise, which pooling does not even out."""
    generator = torch.Generator().manual_seed(seed)
    squares = torch.randn(batch, 3, 4, 4, generator=generator)
    noise = torch.randn(batch, 3, size, size, generator=generator)
    return 2 * functional.interpolate(squares, (size, size)) + 0.5 * noise


def random_clip(frames: int, size: int = 32, *, batch: int = 2, seed: int = 1) -> Tensor:
    """``(batch, 3, frames, size, size)``: another :func:`random_image` at every frame."""
    images = random_image(size, batch=batch * frames, seed=seed)
    return images.unflatten(0, (batch, frames)).transpose(1, 2)


def relative_error(got: Tensor, expected: Tensor) -> float:
    """The largest difference, over the largest expected value."""
    assert got.shape == expected.shape
    difference = (got.double() - expected.double()).abs().max()
    return float(difference / expected.double().abs().max())
