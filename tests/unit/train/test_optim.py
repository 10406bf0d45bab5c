from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from effvit_edge import nn
from effvit_edge.train.average import AveragedWeights
from effvit_edge.train.optim import (
    make_optimizer,
    optimizer_tensors,
    parameter_groups,
    restore_optimizer,
    set_rate,
)
from effvit_edge.train.sections import OptimRecipe


def network() -> nn.EfficientViT:
    torch.manual_seed(0)
    return nn.create_model("efficientvit_b0", num_classes=2, head_widths=(8, 8))


def by_name(model: nn.EfficientViT, optim: OptimRecipe) -> dict[str, tuple[float, float]]:
    """Each parameter's share of the rate, and its weight decay."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group["share"], group["weight_decay"])
        for group in parameter_groups(model, optim)
        for parameter in group["params"]
    }


def test_norms_and_biases_do_not_decay() -> None:
    model = network()
    found = by_name(model, OptimRecipe(lr=1.0, batch_size=1, weight_decay=0.3))
    assert len(found) == len(list(model.parameters()))
    for name, (share, decay) in found.items():
        plain = name.endswith("bias") or ".norm." in name
        assert (share, decay) == (1.0, 0.0 if plain else 0.3), name
    assert sum(decay == 0.0 for _, decay in found.values()) > 50


def test_layer_decay_is_beits_formula() -> None:
    """``decay ** (layers - 1 - layer)`` of 13 layers: the stem's 12, the head's 0."""
    found = by_name(network(), OptimRecipe(lr=1.0, batch_size=1, layer_decay=0.5))
    assert found["stem.0.conv.weight"][0] == 0.5**12
    assert found["stem.1.point_conv.norm.weight"][0] == 0.5**11
    assert found["stages.3.2.local.point_conv.conv.weight"][0] == 0.5
    assert found["head.in_conv.conv.weight"][0] == found["head.classifier.bias"][0] == 1.0


@pytest.mark.parametrize(
    ("kind", "reference"),
    [
        ("adamw", lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.0, betas=(0.8, 0.9))),
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.7)),
    ],
)
def test_a_step_is_torchs_at_the_layers_rate(
    kind: Any, reference: Callable[[Any], torch.optim.Optimizer]
) -> None:
    model, twin = network(), network()
    optim = OptimRecipe(
        lr=9.0, batch_size=1, kind=kind, weight_decay=0.0, betas=(0.8, 0.9), momentum=0.7
    )
    own, theirs = make_optimizer(model, optim), reference(list(twin.parameters()))
    set_rate(own, 0.1)
    for step in range(3):
        for one, other in zip(model.parameters(), twin.parameters(), strict=True):
            one.grad = torch.full_like(one, 1.0 + step)
            other.grad = one.grad.clone()
        own.step()
        theirs.step()
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_an_optimiser_comes_back_as_it_was(kind: Any) -> None:
    results = []
    for restored in (False, True):
        model = network()
        optim = OptimRecipe(lr=0.1, batch_size=1, kind=kind, layer_decay=0.9)
        optimizer = make_optimizer(model, optim)
        for step in range(4):
            if restored and step == 2:
                kept = {k: v.clone() for k, v in optimizer_tensors(optimizer).items()}
                optimizer = make_optimizer(model, optim)
                restore_optimizer(optimizer, kept)
            set_rate(optimizer, 0.1)
            for parameter in model.parameters():
                parameter.grad = torch.cos(parameter.detach() + step)
            optimizer.step()
        results.append([p.detach() for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_the_average_follows_and_is_put_in_place_for_a_while() -> None:
    model = torch.nn.Linear(1, 1)
    with torch.no_grad():
        model.weight.fill_(0.0)
    average = AveragedWeights(model, decay=0.9)
    expected = 0.0
    for update in range(1, 101):
        with torch.no_grad():
            model.weight.fill_(1.0)
        average.update()
        decay = min(0.9, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay)
        with average.applied():
            assert model.weight.item() == pytest.approx(expected, rel=1e-5)
        assert model.weight.item() == 1.0
