"""Whole networks in half precision, where the textbook form of the attention leaves its range."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from effvit_edge import nn
from effvit_edge.nn import attention
from effvit_edge.nn.attention import LinearAttention, relu_linear_attention
from effvit_edge.nn.layers import BatchNorm, GeluTanh, RangeSafeGeluTanh
from effvit_edge.nn.timeline import LoweredClip, Timeline
from tests.unit.nn.networks import random_clip, relative_error

FRAMES, SIZE = 8, 64


def textbook(
    query: Tensor, key: Tensor, value: Tensor, *, eps: float, time: Timeline, state_key: str
) -> Tensor:
    """The attention as the paper writes it (section 3.1), over all frames of one clip."""
    query, key = torch.relu(query), torch.relu(key)
    summary = functional.pad(value, (0, 0, 0, 1), value=1.0) @ key.transpose(2, 3)
    out = summary.sum(0, keepdim=True) @ query
    return out[:, :, :-1] / (out[:, :, -1:] + eps)


@torch.no_grad()
def network_with_spread(variant: str, sigma: float, clip: Tensor) -> nn.EfficientViT:
    """A centred network whose queries, keys and values all have the deviation ``sigma``.

    What the attention's projection takes back is what its queries, keys and values were scaled by,
    so the network answers the same at any ``sigma``. Its norms know the clip's statistics, as those
    of a trained network would.
    """
    torch.manual_seed(0)
    model = nn.create_model(
        f"efficientvit3d_{variant}", num_classes=10, num_frames=FRAMES, head_widths=(32, 32)
    )
    for module in model.modules():
        if isinstance(module, BatchNorm):
            module.momentum = None  # the statistics become this one batch's
    model(clip)
    layers = [m for m in model.eval().modules() if isinstance(m, LinearAttention)]
    for layer in layers:
        _know_the_size_only(layer.proj.norm)
    spreads: list[Tensor] = []
    hooks = [layer.qkv.register_forward_hook(_keep_spread(spreads)) for layer in layers]
    model(clip)
    for hook, layer, spread in zip(hooks, layers, spreads, strict=True):
        hook.remove()
        layer.qkv.weight.mul_(sigma / spread)
        layer.proj.conv.weight.mul_(spread / sigma)
    return model


def _know_the_size_only(norm: object) -> None:
    """With random weights the attention hardly varies, and its norm would blow up what is left."""
    assert isinstance(norm, BatchNorm)
    assert norm.running_mean is not None and norm.running_var is not None
    norm.running_var += norm.running_mean.square()
    norm.running_mean.zero_()


def _keep_spread(spreads: list[Tensor]) -> Callable[[object, object, Tensor], None]:
    def keep(_module: object, _inputs: object, output: Tensor) -> None:
        spreads.append(output.std())

    return keep


@torch.no_grad()
def in_half(model: nn.EfficientViT, clip: Tensor) -> Tensor:
    logits: Tensor = model.half()(clip.half())
    return logits.float()


@torch.no_grad()
def under_autocast(model: nn.EfficientViT, clip: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.float16):
        logits: Tensor = model(clip)
    return logits.float()


@pytest.mark.parametrize("run", [in_half, under_autocast])
@pytest.mark.parametrize("variant", ["b0", pytest.param("l1", marks=pytest.mark.slow)])
def test_a_network_answers_in_half_precision_where_the_textbook_cannot(
    variant: str,
    run: Callable[[nn.EfficientViT, Tensor], Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clip = random_clip(FRAMES, SIZE)
    model = network_with_spread(variant, 16.0, clip)
    with torch.no_grad():
        expected = model(clip)
        with monkeypatch.context() as patch:
            patch.setattr(attention, "relu_linear_attention", _textbook_per_clip)
            assert relative_error(model(clip), expected) <= 1e-3  # the same function
            assert not torch.isfinite(run(model, clip)).all()
            model.float()
    assert relative_error(run(model, clip), expected) <= 0.05


def _textbook_per_clip(
    query: Tensor, key: Tensor, value: Tensor, *, eps: float, time: Timeline, state_key: str
) -> Tensor:
    """:func:`textbook` for a batch of clips, frames time-major as the network lays them."""
    out = torch.empty_like(query)
    for b in range(time.batch_size):
        own = slice(b, None, time.batch_size)
        out[own] = textbook(
            query[own], key[own], value[own], eps=eps, time=time, state_key=state_key
        ).to(out.dtype)
    return out


@pytest.mark.parametrize("run", ["half", "autocast"])
def test_the_textbook_is_silently_zero_where_ours_is_right(run: str) -> None:
    """8 frames of 14×14 tokens at a deviation of 4: the denominator is infinite."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 8, 2, 16, 196, generator=generator) * 4
    time = LoweredClip(1, causal=False, window=1)
    exact = textbook(q.double(), k.double(), v.double(), eps=1e-5, time=time, state_key="")
    half = [t.half() for t in (q, k, v)]
    with torch.autocast("cpu", torch.float16, enabled=run == "autocast"):
        plain = textbook(*half, eps=1e-5, time=time, state_key="")
        ours = relu_linear_attention(*half, eps=1e-5, time=time, state_key="")
    assert torch.isfinite(plain).all()
    assert float((plain == 0).float().mean()) > 0.3
    assert relative_error(ours, exact) <= 5e-3


def test_black_frames_and_mixed_precision_states_stay_finite() -> None:
    """Under autocast a stream's float32 state meets half products, from black to bright."""
    torch.manual_seed(0)
    model = nn.create_model(
        "efficientvit3d_b0", num_classes=5, num_frames=4, causal=True, head_widths=(32, 32)
    ).eval()
    assert isinstance(model, nn.EfficientViT3d)
    state = model.init_state(1, 32, 32)
    with torch.no_grad(), torch.autocast("cpu", torch.float16):
        for level in (0.0, 0.0, 2.0, 0.0):
            logits, state = model.step(torch.full((1, 3, 32, 32), level), state)
            assert torch.isfinite(logits).all()
    assert all(torch.isfinite(tensor).all() for tensor in state.values())


def test_under_autocast_a_vanished_denominator_does_not_blow_up() -> None:
    """Float32 queries, products in half: the numerator is still there, the denominator is not."""
    query, key = torch.ones(1, 1, 16, 12), torch.zeros(1, 1, 16, 12)
    key[0, 0, 0, 0] = 6e-8
    value = torch.full_like(key, 1e3)
    time = LoweredClip(1, causal=False, window=1)
    with torch.autocast("cpu", torch.float16):
        out = relu_linear_attention(query, key, value, eps=1e-15, time=time, state_key="")
    assert out.abs().max() <= value.max()  # a weighted mean of the values


@pytest.mark.parametrize("activation", [GeluTanh(), RangeSafeGeluTanh()])
def test_gelu_is_right_where_its_cube_overflows(activation: torch.nn.Module) -> None:
    x = torch.tensor([-300.0, -41.0, -3.0, 0.0, 0.5, 3.0, 41.0, 300.0, 6e4])
    expected = functional.gelu(x.double(), approximate="tanh")
    half = x.half()
    cube = half + 0.044715 * half**3
    assert torch.isinf(cube[x.abs() > 40]).all()  # as the formula is usually written
    got = activation(half).double()
    assert torch.isfinite(got).all()
    assert float((got - expected).abs().div(expected.abs().clamp(min=1e-2)).max()) <= 3e-3
