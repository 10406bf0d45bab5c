from __future__ import annotations

import pytest
import torch

from effvit_edge import nn
from effvit_edge.nn.layers import Conv
from effvit_edge.nn.timeline import LoweredClip


def temporal_convolutions(model: nn.EfficientViT) -> list[Conv]:
    return [m for m in model.modules() if isinstance(m, Conv) and m.kernel_frames > 1]


@pytest.mark.parametrize("variant", ["b0", "b1", "l1"])
@pytest.mark.parametrize("causal", [True, False])
def test_past_and_future_reach_the_head_through_the_first_convolution_only(
    variant: str, causal: bool
) -> None:
    model = nn.create_model(f"efficientvit3d_{variant}", num_classes=3, causal=causal)
    nn.start_from_scratch(model)
    first, *others = temporal_convolutions(model)
    present = 2 if causal else 1
    for conv in others:
        elsewhere = [tap for tap in range(conv.kernel_frames) if tap != present]
        assert conv.weight[:, :, present].abs().sum() > 0
        assert conv.weight[:, :, elsewhere].count_nonzero() == 0
    change, rest = first.weight[::2].sum(2), first.weight[1::2].sum(2)
    assert change.abs().max() < 1e-6
    assert rest.abs().max() > 1e-2


def test_change_filters_answer_a_still_clip_with_their_bias_only() -> None:
    torch.manual_seed(0)
    model = nn.create_model("efficientvit3d_b0", num_classes=3, causal=True)
    nn.start_from_scratch(model)
    first = temporal_convolutions(model)[0]
    picture = torch.randn(1, 3, 16, 16)
    still = sum(first.convolve_frames(picture, tap) for tap in range(3))
    assert isinstance(still, torch.Tensor)
    assert still[:, ::2].abs().max() < 1e-5
    assert still[:, 1::2].abs().max() > 1e-2


def test_residual_blocks_start_as_identity() -> None:
    torch.manual_seed(0)
    model = nn.create_model("efficientvit_b1", num_classes=3)
    nn.start_from_scratch(model)
    block = model.stages[1][1]  # type: ignore[index]
    x = torch.randn(2, 64, 8, 8)
    assert torch.equal(block(x, LoweredClip(2, causal=False, window=1)), x)


def test_without_taps_in_the_stem_the_next_temporal_convolution_sees_change() -> None:
    model = nn.create_model(
        "efficientvit3d_b0", num_classes=3, causal=True, temporal_kernels=(1, 1, 1, 3, 3)
    )
    nn.start_from_scratch(model)
    first = temporal_convolutions(model)[0]
    assert first.groups > 1
    assert first.weight[::2].sum(2).abs().max() < 1e-6
