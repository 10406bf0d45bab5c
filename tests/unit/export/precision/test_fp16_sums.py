"""The attention of exported steps in half precision against its formula, however it adds up."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor

from effvit_edge.export.onnx import trace
from effvit_edge.export.precision.fp16 import to_fp16
from effvit_edge.nn.attention import LinearAttention
from effvit_edge.nn.timeline import COUNT_KEY, Step
from tests.unit.export.precision.half_units import (
    Array,
    Total,
    by_sixteens,
    formula,
    in_single,
    one_by_one,
    run,
)

HEADS, DIM = 8, 16
WINDOWS = [(1, 1), (16, 1), (16, 49)]  # frames, tokens of each
LARGE = [(1, 4), (2, 1), (4, 1), (1, 784), (4, 196), (16, 4), (16, 196), (16, 784)]
SPREADS = [0.05, 1.0, 32.0]
MORE_SPREADS = [0.1, 0.5, 4.0, 8.0, 16.0]
ORDERS = [in_single, by_sixteens, one_by_one]


class OneStep(torch.nn.Module):
    """One frame's queries, keys and values with a window's state, as a network's stage has it."""

    def __init__(self, window: int) -> None:
        super().__init__()
        channels = HEADS // 2 * DIM
        layer = LinearAttention(channels, head_dim=DIM, norm_eps=1e-5, eps=1e-5, kernel_frames=1)
        layer.state_key = "ring"
        self.layer, self.window = layer, window

    def forward(self, qkv: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """``(1, HEADS, 3·DIM, N)`` and the ring and the count -> answers and the next state."""
        before = dict(zip(("ring", COUNT_KEY), state, strict=bool(state)))
        time = Step(1, window=self.window, state=before)
        out = self.layer.attend(qkv, time)
        return (out, *(time.next_state[name] for name in before))


@cache
def one_step(window: int, tokens: int) -> onnx.ModelProto:
    """Its graph in half precision."""
    state = [torch.zeros(1, window - 1, HEADS * (DIM + 1) * DIM), torch.zeros(1, 1, 1, 1)]
    names = ["state_ring", "state_count"]
    if window == 1:
        state, names = [], []
    inputs = [torch.zeros(1, HEADS, 3 * DIM, tokens), *state]
    graph = trace(OneStep(window), inputs, ["qkv", *names], ["out", *(f"next_{n}" for n in names)])
    half = to_fp16(graph)
    products = [node for node in half.graph.node if node.op_type in ("MatMul", "ReduceSum")]
    assert len(products) >= 4  # what the orders of sums are for
    return half


def last_answers(packed: Array, total: Total) -> Array:
    """Step through all frames ``(M, HEADS, 3·DIM, N)`` of a window."""
    model = one_step(packed.shape[0], packed.shape[3])
    names = [tensor.name for tensor in model.graph.input]
    shapes = [[d.dim_value for d in t.type.tensor_type.shape.dim] for t in model.graph.input]
    state = [np.zeros(shape, np.float16) for shape in shapes[1:]]
    for frame in packed.astype(np.float32):
        outputs = run(model, dict(zip(names, [frame[None], *state], strict=True)), total)
        answers, *state = outputs.values()
    return answers[0]


def draw(window: tuple[int, int], bias: float) -> Array:
    """Of deviation 1; values of mean ``bias``."""
    frames, tokens = window
    packed = np.random.default_rng(0).standard_normal((frames, HEADS, 3 * DIM, tokens))
    packed[:, :, 2 * DIM :] += bias
    return packed


def check(window: tuple[int, int], sigma: float, bias: float, total: Total) -> None:
    """Storage and sums in half precision."""
    half = (sigma * draw(window, bias)).astype(np.float16)
    expected = formula(half)
    error = np.abs(last_answers(half, total) - expected).max() / np.abs(expected).max()
    assert error <= 5e-3, f"{error:.1e}"  # not for NaN


@pytest.mark.parametrize("total", ORDERS)
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("bias", [0.0, 4.0])
@pytest.mark.parametrize("sigma", SPREADS)
def test_what_is_exported_keeps_three_digits_however_it_adds_up(
    total: Total, window: tuple[int, int], sigma: float, bias: float
) -> None:
    """One token to 16·7·7."""
    check(window, sigma, bias, total)


@pytest.mark.slow
@pytest.mark.parametrize("total", [in_single, by_sixteens])
@pytest.mark.parametrize("window", [*WINDOWS, *LARGE])
@pytest.mark.parametrize("bias", [0.0, 4.0])
@pytest.mark.parametrize("sigma", [*SPREADS, *MORE_SPREADS])
def test_three_digits_over_all_windows_and_spreads(
    total: Total, window: tuple[int, int], sigma: float, bias: float
) -> None:
    """One token to 16·28·28. One by one, a single frame of 784 unbiased values is 7e-3 off."""
    check(window, sigma, bias, total)


@pytest.mark.parametrize("total", ORDERS)
@pytest.mark.parametrize("window", [(1, 1), (16, 49)])
@pytest.mark.parametrize("zero", [slice(0, DIM), slice(DIM, 2 * DIM), slice(0, 3 * DIM)])
def test_zeros_in_zeros_out(total: Total, window: tuple[int, int], zero: slice) -> None:
    packed = draw(window, 4.0).astype(np.float16)
    packed[:, :, zero] = 0
    assert not last_answers(packed, total).any()
