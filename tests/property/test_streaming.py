"""Frame by frame equals the whole clip: any length, window, kernel, variant, batch, reset."""

from __future__ import annotations

import functools

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from effvit_edge import nn
from tests.unit.nn.networks import random_clip, randomise

SIZE = 32
TOLERANCE = 1e-4  # of logits near 1, absolute; the design's figure
Kernels = tuple[int, int, int, int, int]

kernels = st.tuples(*[st.integers(1, 4)] * 5)
variants = st.sampled_from(["b0", "b0", "b0", "b1", "l1"])  # the small ones most of the time
lengths = st.integers(1, 12)
windows = st.integers(1, 5)


@functools.lru_cache(maxsize=8)
def _network(variant: str, window: int, temporal_kernels: Kernels) -> nn.EfficientViT3d:
    model = nn.create_model(
        f"efficientvit3d_{variant}",
        num_classes=5,
        num_frames=4,
        window=window,
        causal=True,
        temporal_kernels=temporal_kernels,
        head_widths=(64, 64),
    )
    assert isinstance(model, nn.EfficientViT3d)
    randomise(model)
    return model.eval()


def _stream(model: nn.EfficientViT3d, clip: Tensor, state: nn.State) -> tuple[Tensor, nn.State]:
    """``(B, C, T, H, W) -> (B, T, num_classes)``, one step a frame."""
    logits = []
    for frame in clip.unbind(2):
        one, state = model.step(frame, state)
        logits.append(one)
    return torch.stack(logits, dim=1), state


def _difference(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


@given(variants, lengths, windows, kernels, st.integers(1, 3), st.integers(0, 99))
@example("b0", 2, 5, (1, 1, 1, 3, 3), 1, 0)  # shorter than the window
@example("b0", 4, 4, (1, 1, 1, 3, 3), 2, 0)  # equal to it
@example("b0", 24, 3, (3, 1, 1, 3, 3), 1, 0)  # many times
@example("l1", 5, 2, (2, 4, 2, 4, 2), 2, 0)  # even kernels, dense ones among them
@example("b3", 3, 2, (1, 1, 1, 3, 3), 1, 0)
@settings(max_examples=15)
@torch.no_grad()
def test_steps_equal_the_clip(
    variant: str, length: int, window: int, temporal_kernels: Kernels, batch: int, seed: int
) -> None:
    model = _network(variant, window, temporal_kernels)
    clip = random_clip(length, SIZE, batch=batch, seed=seed)
    got, _ = _stream(model, clip, model.init_state(batch, SIZE, SIZE))
    assert _difference(got, model.forward_frames(clip)) <= TOLERANCE


@given(lengths, lengths, windows, kernels)
@settings(max_examples=4)
@torch.no_grad()
def test_reset_equals_starting_anew(
    first: int, second: int, window: int, temporal_kernels: Kernels
) -> None:
    model = _network("b0", window, temporal_kernels)
    _stream(model, random_clip(first, SIZE, seed=2), model.init_state(2, SIZE, SIZE))
    clip = random_clip(second, SIZE, seed=3)
    got, _ = _stream(model, clip, model.init_state(2, SIZE, SIZE))
    assert _difference(got, model.forward_frames(clip)) <= TOLERANCE


@given(lengths, st.integers(0, 12), windows, kernels)
@settings(max_examples=4)
@torch.no_grad()
def test_a_stream_can_stop_anywhere_and_go_on_from_its_state(
    length: int, cut: int, window: int, temporal_kernels: Kernels
) -> None:
    model = _network("b0", window, temporal_kernels)
    clip = random_clip(length, SIZE, batch=1)
    whole, _ = _stream(model, clip, model.init_state(1, SIZE, SIZE))
    cut = min(cut, length - 1)
    state = model.init_state(1, SIZE, SIZE)
    for frame in clip[:, :, :cut].unbind(2):
        _, state = model.step(frame, state)
    saved = {name: tensor.clone() for name, tensor in state.items()}
    rest, _ = _stream(model, clip[:, :, cut:], saved)
    assert torch.equal(rest, whole[:, cut:])


@given(lengths, windows, kernels)
@settings(max_examples=4)
@torch.no_grad()
def test_streams_of_a_batch_do_not_meet(
    length: int, window: int, temporal_kernels: Kernels
) -> None:
    model = _network("b0", window, temporal_kernels)
    clip = random_clip(length, SIZE, batch=3)
    together, _ = _stream(model, clip, model.init_state(3, SIZE, SIZE))
    for b in range(3):
        alone, _ = _stream(model, clip[b : b + 1], model.init_state(1, SIZE, SIZE))
        assert _difference(together[b : b + 1], alone) <= TOLERANCE


@torch.no_grad()
def test_there_is_no_drift_over_a_thousand_frames() -> None:
    """The state holds summands, not running sums: late frames are as exact as early ones."""
    model = _network("b0", 3, (1, 1, 1, 2, 1))
    clip = random_clip(25, SIZE, batch=1)
    state = model.init_state(1, SIZE, SIZE)
    for t in range(1000):
        logits, state = model.step(clip[:, :, t % 25], state)
    expected = model.forward_frames(torch.cat([clip, clip], dim=2))[:, -1]
    assert _difference(logits, expected) <= TOLERANCE
