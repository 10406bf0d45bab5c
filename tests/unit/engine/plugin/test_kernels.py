"""The kernels' arithmetic, compiled for this processor, against the quadratic formula."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from effvit_edge.core.errors import EdgeError
from effvit_edge.engine.plugin.library import SharedLibrary
from effvit_edge.engine.plugin.shape import AttentionShape
from effvit_edge.nn.attention import relu_linear_attention
from effvit_edge.nn.timeline import LoweredClip
from tests.unit.engine.plugin.attending import (
    draw,
    largest_error,
    quadratic,
    run_clip,
    run_step,
    run_steps,
    summaries,
)

HALF_ULP = 2.0**-11  # relative, of a normal number in half precision
SHAPE = AttentionShape(
    batch=2, frames=5, heads=3, head_dim=16, tokens=49, window=3, eps=1e-5, storage="float32"
)

shapes = st.builds(
    AttentionShape,
    batch=st.integers(1, 3),
    frames=st.integers(1, 6),
    heads=st.integers(1, 4),
    head_dim=st.sampled_from([16, 32]),
    # a token, a tile of 32, a block of 128, and their neighbours
    tokens=st.one_of(st.integers(1, 70), st.sampled_from([127, 128, 129, 196, 257])),
    window=st.integers(1, 8),
    eps=st.sampled_from([0.0, 1e-15, 1e-5, 1e-2]),
    causal=st.booleans(),
)


def _draw_for(shape: AttentionShape, seed: int, sigma: float) -> np.ndarray:
    frames = shape.batch * shape.frames
    return draw(seed, frames, shape.heads, shape.head_dim, shape.tokens, sigma, bias=1.0)


@settings(max_examples=80)
@given(shape=shapes, seed=st.integers(0, 999), sigma=st.sampled_from([1e-3, 0.05, 1.0, 32.0]))
def test_a_clip_is_the_quadratic_formula(
    host_kernels: SharedLibrary, shape: AttentionShape, seed: int, sigma: float
) -> None:
    if not shape.causal:
        shape = dataclasses.replace(shape, window=shape.frames)
    qkv = _draw_for(shape, seed, sigma)
    got = run_clip(host_kernels, shape, qkv)
    assert largest_error(got, quadratic(shape, qkv), qkv) <= 1e-5


@settings(max_examples=40)
@given(shape=shapes, seed=st.integers(0, 999), in_place=st.booleans())
def test_steps_over_a_sequence_are_the_clip(
    host_kernels: SharedLibrary, shape: AttentionShape, seed: int, in_place: bool
) -> None:
    shape = dataclasses.replace(shape, causal=True, window=shape.window + 1)
    qkv = _draw_for(shape, seed, 1.0)
    one_frame = dataclasses.replace(shape, frames=1)
    got = run_steps(host_kernels, one_frame, qkv, in_place=in_place)
    assert largest_error(got, quadratic(shape, qkv), qkv) <= 1e-5
    np.testing.assert_allclose(got, run_clip(host_kernels, shape, qkv), rtol=1e-5, atol=1e-6)


@settings(max_examples=40)
@given(shape=shapes, seed=st.integers(0, 999), sigma=st.sampled_from([0.05, 1.0, 32.0]))
def test_half_storage_costs_the_rounding_of_the_answer(
    host_kernels: SharedLibrary, shape: AttentionShape, seed: int, sigma: float
) -> None:
    window = shape.window if shape.causal else shape.frames
    shape = dataclasses.replace(shape, storage="float16", window=window)
    qkv = _draw_for(shape, seed, sigma).astype(np.float16)
    got = run_clip(host_kernels, shape, qkv)
    assert got.dtype == np.float16
    expected = quadratic(shape, qkv)
    allowed = HALF_ULP * np.abs(expected) + 1e-5 * np.abs(qkv[:, :, 2 * shape.head_dim :]).max()
    assert (np.abs(got - expected) <= allowed).all()


@pytest.mark.parametrize("state", ["float32", "float16"])
@pytest.mark.parametrize("sigma", [0.02, 0.05, 1.0, 32.0])
@pytest.mark.parametrize("bias", [0.0, 4.0])
@pytest.mark.parametrize("head_dim", [16, 32])
def test_half_steps_keep_in_range(
    host_kernels: SharedLibrary, state: str, sigma: float, bias: float, head_dim: int
) -> None:
    shape = AttentionShape(
        batch=1, frames=1, heads=2, head_dim=head_dim, tokens=196, window=8, eps=1e-15
    )
    shape = dataclasses.replace(shape, storage="float16", state_storage=state)
    qkv = draw(0, 12, 2, head_dim, 196, sigma, bias).astype(np.float16)
    got = run_steps(host_kernels, shape, qkv)
    expected = quadratic(dataclasses.replace(shape, frames=12), qkv)
    # the same bound as for the network's attention in half precision
    error = np.linalg.norm(got - expected) / np.linalg.norm(expected)
    assert error <= (5e-4 if state == "float32" or sigma > 0.02 else 2e-3)


@pytest.mark.parametrize("tokens", [1, 49])  # their keys' factor has two branches
def test_the_ring_holds_the_last_summaries_oldest_first(
    host_kernels: SharedLibrary, tokens: int
) -> None:
    clip = dataclasses.replace(SHAPE, tokens=tokens)
    shape = dataclasses.replace(clip, frames=1)
    qkv = _draw_for(clip, 1, 1.0)
    ring = np.zeros(shape.ring, np.float32)
    for time in range(5):
        frame = qkv[2 * time : 2 * time + 2]
        _, ring = run_step(host_kernels, shape, frame, ring, min(time + 1, 3), in_place=False)
    expected = summaries(shape, qkv).reshape(5, 2, -1)[3:].transpose(1, 0, 2)
    np.testing.assert_allclose(ring, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("causal", "window"), [(True, 3), (False, 5)])
def test_the_network_computes_the_same(
    host_kernels: SharedLibrary, causal: bool, window: int
) -> None:
    shape = dataclasses.replace(SHAPE, causal=causal, window=window)
    qkv = _draw_for(shape, 2, 1e-2)
    query, key, value = torch.from_numpy(qkv).split(16, dim=2)
    time = LoweredClip(2, causal=causal, window=window)
    expected = relu_linear_attention(query, key, value, eps=1e-5, time=time, state_key="x")
    got = run_clip(host_kernels, shape, qkv)
    assert largest_error(got, expected.double().numpy(), qkv) <= 1e-5


@pytest.mark.parametrize("storage", ["float32", "float16"])
@pytest.mark.parametrize("eps", [0.0, 1e-15, 1e-5])
@pytest.mark.parametrize("zero", [slice(0, 16), slice(16, 32), slice(0, 48)])
def test_zeros_give_zeros(
    host_kernels: SharedLibrary, storage: str, eps: float, zero: slice
) -> None:
    shape = dataclasses.replace(SHAPE, storage=storage, state_storage=storage, eps=eps)
    qkv = _draw_for(shape, 3, 1.0)
    qkv[:, :, zero] = 0
    assert not run_clip(host_kernels, shape, qkv).any()
    assert not run_steps(host_kernels, dataclasses.replace(shape, frames=1), qkv).any()


def test_what_is_not_a_number_stays_so(host_kernels: SharedLibrary) -> None:
    qkv = _draw_for(SHAPE, 4, 1.0)
    qkv[4, 1, 0, 7] = np.nan  # a query of the third frame
    got = run_clip(host_kernels, SHAPE, qkv)
    assert np.isnan(got[4, 1, :, 7]).all()
    assert np.isnan(got).sum() == 16


@pytest.mark.parametrize("value", [0.0, 2.0**-24, 2.0**-25, 3 * 2.0**-25, 6.1e-5, 1.0, 65504.0])
@pytest.mark.parametrize("step", [0.0, 1e-7, -1e-7, 2.0**-11, -(2.0**-11)])
def test_halves_are_rounded_as_numpy_rounds_them(
    host_kernels: SharedLibrary, value: float, step: float
) -> None:
    # one key, one token, one frame: the answer is the value itself, read or stored as a half
    shape = AttentionShape(
        batch=1, frames=1, heads=1, head_dim=16, tokens=1, window=2, eps=0.0, storage="float16"
    )
    number = np.float32(value * (1 + step))
    ring = np.zeros(shape.ring, np.float32)
    ring[0, 0, :256] = -number * 8
    ring[0, 0, 256:] = 8.0
    qkv = np.zeros((1, 1, 48, 1))
    qkv[:, :, :16] = 1.0
    got, _ = run_step(host_kernels, shape, qkv, ring, 2, in_place=False)
    with np.errstate(over="ignore"):  # 65504·(1 + 2^-11) is infinite
        expected = np.float16(-number)
    np.testing.assert_array_equal(got, np.full_like(got, expected))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"tokens": 0}, "size"),
        ({"batch": -1}, "size"),
        ({"batch": 1 << 30, "frames": 1 << 30}, "size"),
        ({"head_dim": 24}, "head dimension"),
        ({"window": 0}, "window"),
    ],
)
def test_what_cannot_be_is_refused(
    host_kernels: SharedLibrary, change: dict[str, int], word: str
) -> None:
    shape = dataclasses.replace(SHAPE, **change)
    assert host_kernels.workspace_bytes(shape) == 0
    with pytest.raises(EdgeError, match=word):
        host_kernels.clip(shape, qkv=16, out=16, workspace=16, stream=0)


def test_a_clip_without_memory_is_refused(host_kernels: SharedLibrary) -> None:
    with pytest.raises(EdgeError, match="null"):
        host_kernels.clip(SHAPE, qkv=16, out=0, workspace=16, stream=0)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"frames": 2}, "size"),
        ({"window": 1}, "window"),
        ({"causal": False}, "window"),
        ({"state_storage": "float16"}, "types"),
    ],
)
def test_a_step_that_cannot_be_is_refused(
    host_kernels: SharedLibrary, change: dict[str, object], word: str
) -> None:
    shape = dataclasses.replace(SHAPE, **{"frames": 1, **change})
    with pytest.raises(EdgeError, match=word):
        host_kernels.step(
            shape,
            qkv=16,
            ring=16,
            frames_seen=16,
            out=16,
            next_ring=16,
            workspace=16,
            stream=0,
        )
