from __future__ import annotations

import pytest
import torch

from effvit_edge import nn
from tests.unit.nn.networks import random_clip, randomise


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "centred"])
def test_recomputing_changes_neither_gradients_nor_statistics(causal: bool) -> None:
    results = []
    for recompute in (False, True):
        torch.manual_seed(0)
        model = nn.create_model(
            "efficientvit3d_b0",
            num_classes=3,
            num_frames=3,
            causal=causal,
            drop_path=0.3,
            head_dropout=0.3,
            head_widths=(16, 16),
        )
        randomise(model)
        model.recompute = recompute
        torch.manual_seed(1)
        model(random_clip(3)).square().sum().backward()
        gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        assert len(gradients) == len(list(model.parameters()))
        results.append({**gradients, **dict(model.named_buffers())})
    for name, expected in results[0].items():
        assert torch.equal(results[1][name], expected), name


def kept_bytes(recompute: bool) -> int:
    """What one forward pass keeps for the way back."""
    torch.manual_seed(0)
    model = nn.create_model("efficientvit3d_b0", num_classes=3, num_frames=3, head_widths=(16, 16))
    model.recompute = recompute
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(random_clip(3)).sum()
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    return sum(size for place, size in kept.items() if place not in parameters)


def test_it_keeps_a_fraction_of_the_activations() -> None:
    most, least = (kept_bytes(recompute) for recompute in (False, True))
    assert least < most / 4


def test_evaluation_is_left_alone() -> None:
    model = nn.create_model("efficientvit3d_b0", num_classes=3, num_frames=3, causal=True).eval()
    clip = random_clip(3)
    with torch.no_grad():
        expected = model(clip)
        model.recompute = True
        assert torch.equal(model(clip), expected)
