"""Linear attention against the quadratic formula in float64, and its range in half precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from effvit_edge.nn.attention import LinearAttention, relu_linear_attention
from effvit_edge.nn.timeline import LoweredClip, Step
from tests.unit.nn.networks import randomise, relative_error

Triple = tuple[Tensor, Tensor, Tensor]
HEADS = 2


def _draw(frames: int, dim: int, tokens: int, sigma: float, bias: float = 0.0) -> Triple:
    """Query, key, value ``(frames, HEADS, dim, tokens)``; the values' mean is ``bias·sigma``."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, frames, HEADS, dim, tokens, generator=generator) * sigma
    return q, k, v + bias * sigma


def _quadratic(tensors: Triple, windows: Sequence[range], eps: float) -> Tensor:
    """Every query against every key of its window, in float64, ``eps`` once a frame."""
    q, k, v = (t.double() for t in tensors)
    out = []
    for query, window in zip(torch.relu(q), windows, strict=True):
        keys = torch.cat([torch.relu(k[f]) for f in window], dim=2)  # (heads, d, frames·N)
        values = torch.cat([v[f] for f in window], dim=2)
        weights = query.transpose(1, 2) @ keys  # (heads, N, frames·N)
        total = weights.sum(2, keepdim=True) + eps * len(window)
        out.append((weights @ values.transpose(1, 2) / total).transpose(1, 2))
    return torch.stack(out)


def _causal_windows(frames: int, window: int) -> list[range]:
    return [range(max(0, t - window + 1), t + 1) for t in range(frames)]


def _causal(tensors: Triple, window: int, eps: float) -> Tensor:
    time = LoweredClip(1, causal=True, window=window)
    return relu_linear_attention(*tensors, eps=eps, time=time, state_key="x")


@pytest.mark.parametrize("window", [1, 3, 5, 9])
@pytest.mark.parametrize("sigma", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize("eps", [1e-5, 1e-15])
def test_a_causal_window_is_the_quadratic_formula(window: int, sigma: float, eps: float) -> None:
    tensors = _draw(5, 16, 12, sigma)
    expected = _quadratic(tensors, _causal_windows(5, window), eps)
    assert relative_error(_causal(tensors, window, eps), expected) <= 1e-5


def test_a_centred_clip_sees_all_its_frames() -> None:
    tensors = _draw(4, 16, 12, 1e-2)
    time = LoweredClip(1, causal=False, window=1)
    got = relu_linear_attention(*tensors, eps=1e-5, time=time, state_key="x")
    expected = _quadratic(tensors, [range(4)] * 4, 1e-5)
    assert relative_error(got, expected) <= 1e-5


def test_steps_are_the_quadratic_formula() -> None:
    tensors = _draw(7, 16, 12, 1e-2)
    expected = _quadratic(tensors, _causal_windows(7, 3), 1e-5)
    state = None
    for t in range(7):
        time = Step(1, window=3, state=state)
        q, k, v = (x[t : t + 1] for x in tensors)
        got = relu_linear_attention(q, k, v, eps=1e-5, time=time, state_key="x")
        assert relative_error(got, expected[t : t + 1]) <= 1e-5
        state = time.next_state


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("eps", [1e-5, 1e-15])
@pytest.mark.parametrize("zero", [(0,), (1,), (0, 1), (0, 1, 2)])
def test_zero_queries_and_keys_give_zeros(
    dtype: torch.dtype, eps: float, zero: tuple[int, ...]
) -> None:
    tensors = [t.to(dtype) for t in _draw(3, 16, 12, 4.0)]
    for index in zero:
        tensors[index] = -tensors[index].abs()  # the ReLU leaves nothing
    q, k, v = tensors
    assert not _causal((q, k, v), 2, eps).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_black_input_gives_zero_attention(dtype: torch.dtype) -> None:
    layer = LinearAttention(32, head_dim=16, norm_eps=1e-5, eps=1e-15, kernel_frames=1)
    layer = layer.eval().to(dtype)
    with torch.no_grad():
        out = layer(torch.zeros(4, 32, 3, 3, dtype=dtype), LoweredClip(2, causal=True, window=2))
    assert not out.any()


def test_gradients_of_black_input_are_finite() -> None:
    layer = LinearAttention(32, head_dim=16, norm_eps=1e-5, eps=1e-15, kernel_frames=3)
    randomise(layer)
    black = torch.zeros(4, 32, 3, 3, requires_grad=True)
    layer(black, LoweredClip(2, causal=True, window=2)).square().sum().backward()
    for tensor in (black, *layer.parameters()):
        assert tensor.grad is not None and torch.isfinite(tensor.grad).all()


class HalfAccumulation(TorchDispatchMode):
    """Products and sums of half-precision tensors as of a unit that adds up in half precision.

    A chunk of 16 products is summed exactly, as tensor cores do, and the running sum is rounded to
    half after each chunk. Everything else runs as it is.
    """

    chunk = 16

    def __init__(self) -> None:
        super().__init__()
        self.emulated = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        aten = torch.ops.aten
        if func in (aten.bmm.default, aten.mm.default) and args[0].dtype == torch.float16:
            return self._product(args[0], args[1])
        if func is aten.sum.dim_IntList and args[0].dtype == torch.float16:
            return self._sum(*args)
        return func(*args, **(kwargs or {}))

    def _product(self, left: Tensor, right: Tensor) -> Tensor:
        self.emulated += 1
        pairs = zip(left.split(self.chunk, -1), right.split(self.chunk, -2), strict=True)
        total = left.new_zeros(*left.shape[:-1], right.shape[-1])
        for a, b in pairs:
            total = (total.float() + a.float() @ b.float()).half()
        return total

    def _sum(self, x: Tensor, dims: Sequence[int], keepdim: bool = False) -> Tensor:
        self.emulated += 1
        (dim,) = dims
        total = x.new_zeros(x.select(dim, 0).shape)
        for part in x.split(self.chunk, dim):
            total = (total.float() + part.float().sum(dim)).half()
        return total.unsqueeze(dim) if keepdim else total


def _norm_error(got: Tensor, expected: Tensor) -> float:
    return float((got.double() - expected).norm() / expected.norm())


@pytest.mark.parametrize("dim", [16, 32])
@pytest.mark.parametrize(("frames", "tokens"), [(8, 196), (1, 1568)])
@pytest.mark.parametrize("bias", [0.0, 4.0])
@pytest.mark.parametrize("sigma", [0.02, 0.05, 0.5, 2.0, 8.0, 32.0])
def test_half_precision_keeps_three_digits(
    dim: int, frames: int, tokens: int, bias: float, sigma: float
) -> None:
    """1568 tokens in one window. A rounding to half is 2⁻¹¹ ≈ 5e-4, and some four meet."""
    q, k, v = (t.half() for t in _draw(frames, dim, tokens, sigma, bias))
    expected = _quadratic((q, k, v), _causal_windows(frames, frames), 1e-5)
    stored = _causal((q, k, v), frames, 1e-5)
    with HalfAccumulation() as unit:
        accumulated = _causal((q, k, v), frames, 1e-5)
    assert unit.emulated >= 4
    assert torch.isfinite(stored).all() and torch.isfinite(accumulated).all()
    small = sigma == 0.02
    assert _norm_error(stored, expected) <= (3e-3 if small else 1e-3)
    assert _norm_error(accumulated, expected) <= (4e-3 if small else 2e-3)


def test_eps_scales_with_both_factors() -> None:
    """Where eps weighs as much as the keys, the ratio still has it in the image network's scale."""
    tensors = _draw(4, 16, 9, 1e-3)
    with_eps = _quadratic(tensors, _causal_windows(4, 4), 1e-5)
    without = _quadratic(tensors, _causal_windows(4, 4), 0.0)
    assert relative_error(with_eps, without) > 0.05  # it does weigh
    assert relative_error(_causal(tensors, 4, 1e-5), with_eps) <= 1e-5


def test_head_dim_must_divide_the_channels() -> None:
    with pytest.raises(ValueError, match=r"channels \(40\) must be a multiple of head_dim \(16\)"):
        LinearAttention(40, head_dim=16, norm_eps=1e-5, eps=1e-5, kernel_frames=1)
