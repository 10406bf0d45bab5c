"""What the checks and timings on a device call, here on this processor."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from benchmarks.plugin.calls import KernelCall, cases, draw, torch_call, torch_clip
from effvit_edge.engine.plugin.library import SharedLibrary
from effvit_edge.engine.plugin.shape import AttentionShape
from effvit_edge.nn import create_model
from effvit_edge.nn.attention import LinearAttention

SHAPE = AttentionShape(batch=2, frames=5, heads=3, head_dim=16, tokens=49, window=3, eps=1e-5)
CPU = torch.device("cpu")


@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_the_kernels_on_tensors_are_torchs_operators(
    host_kernels: SharedLibrary, storage: str
) -> None:
    shape = dataclasses.replace(SHAPE, storage=storage)
    call = KernelCall(host_kernels, shape, draw(shape, CPU), step=False)
    call()
    expected = torch_clip(shape, call.qkv.double())
    tolerance = 1e-5 if storage == "float32" else 1e-3
    torch.testing.assert_close(call.out.double(), expected, rtol=tolerance, atol=1e-5)


def test_steps_on_tensors_keep_their_ring(host_kernels: SharedLibrary) -> None:
    one = dataclasses.replace(SHAPE, frames=1)
    qkv = draw(SHAPE, CPU)
    frames = qkv.reshape(5, 2, 3, 48, 49)
    call = KernelCall(host_kernels, one, frames[0], step=True)
    answers = []
    for time, frame in enumerate(frames):
        call.qkv.copy_(frame)
        call.frames_seen.fill_(min(time + 1, 3))
        call()
        answers.append(call.out.clone())
    torch.testing.assert_close(torch.cat(answers), torch_clip(SHAPE, qkv), rtol=1e-4, atol=1e-5)


def test_torchs_step_with_a_full_window_is_the_kernels(host_kernels: SharedLibrary) -> None:
    one = dataclasses.replace(SHAPE, frames=1)
    qkv = draw(one, CPU)
    call = KernelCall(host_kernels, one, qkv, step=True)
    call.frames_seen.fill_(3)
    reference = torch_call(one, qkv, step=True)
    for _ in range(4):
        call()
        torch.testing.assert_close(call.out, reference(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", ["b0", "b1", "b3", "l1"])
def test_the_layers_are_those_of_the_networks(variant: str) -> None:
    with torch.device("meta"):
        model = create_model(f"efficientvit3d_{variant}", num_classes=2, num_frames=8, causal=True)
    layers = [module for module in model.modules() if isinstance(module, LinearAttention)]
    # two scales of queries, keys and values for every channel
    heads = {(2 * layer.qkv.weight.shape[1] // layer.head_dim, layer.head_dim) for layer in layers}
    assert {(case.heads, case.head_dim) for case in cases((variant,), 224)} == heads
    assert {case.tokens for case in cases((variant,), 224)} <= {14 * 14, 7 * 7}
