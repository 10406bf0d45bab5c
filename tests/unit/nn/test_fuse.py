from __future__ import annotations

from typing import Any

import pytest
import torch

from effvit_edge import nn
from effvit_edge.nn.layers import BatchNorm, GeluTanh, RangeSafeGeluTanh
from tests.unit.nn.networks import random_clip, random_image, randomise, relative_error


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("efficientvit_b0", {}),
        ("efficientvit_l1", {}),
        ("efficientvit3d_b0", {"causal": True, "temporal_kernels": (3, 3, 3, 3, 3)}),
        ("efficientvit3d_b0", {"temporal_kernels": (3, 1, 1, 5, 3)}),
        ("efficientvit3d_l1", {"causal": True}),
    ],
)
def test_the_fused_network_computes_the_same(name: str, kwargs: dict[str, Any]) -> None:
    model = nn.create_model(name, num_classes=5, **kwargs).double()
    randomise(model)
    model.eval()
    x = (random_clip(4) if model.is_video else random_image(32)).double()
    expected = model(x)
    fused = nn.fuse_for_inference(model)
    assert relative_error(fused(x), expected) <= 1e-12  # float64, so only the algebra can differ
    assert relative_error(fused.float()(x.float()), expected) <= 1e-5


def test_nothing_is_left_to_fold_and_the_original_is_untouched() -> None:
    model = nn.create_model("efficientvit3d_l1", causal=True)
    randomise(model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fused = nn.fuse_for_inference(model.train())
    assert not any(isinstance(m, BatchNorm | GeluTanh) for m in fused.modules())
    assert not any(m.training for m in fused.modules())
    assert model.training
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


def test_the_range_safe_gelu_is_gelu_and_stays_finite_in_half_precision() -> None:
    x = torch.linspace(-60, 60, 2401, dtype=torch.float64)
    expected = GeluTanh()(x)
    assert relative_error(RangeSafeGeluTanh()(x), expected) <= 1e-12
    half = RangeSafeGeluTanh()(x.half())
    assert torch.isfinite(half).all()
    assert relative_error(half, expected) <= 1e-3
