"""The optimiser of a recipe: which parameters decay, and at which share of the rate each learns."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn as torch_nn
from torch.optim import SGD, AdamW, Optimizer

from effvit_edge.nn import EfficientViT
from effvit_edge.train.sections import OptimRecipe

_SHARE = "share"


def make_optimizer(model: EfficientViT, recipe: OptimRecipe) -> Optimizer:
    """AdamW, or SGD with momentum, over what is to be trained."""
    groups = parameter_groups(model, recipe)
    if recipe.kind == "sgd":
        return SGD(groups, lr=recipe.lr, momentum=recipe.momentum, fused=True)
    return AdamW(groups, lr=recipe.lr, betas=recipe.betas, fused=True)


def parameter_groups(model: EfficientViT, recipe: OptimRecipe) -> list[dict[str, Any]]:
    """The trained parameters by layer, kernels and matrices apart from norms and biases.

    A layer's rate is ``layer_decay`` to the power of its distance from the last layer (Bao et al.
    2022, "BEiT", appendix; Clark et al. 2020, "ELECTRA"), and norms and biases do not decay.

    Returns:
        What torch's optimisers take, with the ``share`` of the rate beside it.
    """
    last = model.num_layers - 1
    groups: dict[tuple[float, bool], list[torch_nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            share = recipe.layer_decay ** (last - model.layer_of(name))
            groups.setdefault((share, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": recipe.weight_decay if decays else 0.0,
            _SHARE: share,
        }
        for (share, decays), parameters in groups.items()
    ]


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Give every group its share of a rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group[_SHARE]


def optimizer_tensors(optimizer: Optimizer) -> dict[str, torch.Tensor]:
    """What an optimiser remembers, as ``INDEX.KEY``."""
    return {
        f"{index}.{key}": value
        for index, values in optimizer.state_dict()["state"].items()
        for key, value in values.items()
        if value is not None
    }


def restore_optimizer(optimizer: Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Give an optimiser back what :func:`optimizer_tensors` told."""
    slots: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        index, _, key = name.partition(".")
        slots.setdefault(int(index), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": slots, "param_groups": groups})
