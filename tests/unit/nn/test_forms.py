"""The forms of one network against each other: lowered clip, Conv3d clip; and its state."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from effvit_edge import nn
from effvit_edge.nn.layers import DropPath
from effvit_edge.nn.timeline import LoweredClip
from tests.unit.nn.networks import (
    VARIANTS,
    random_clip,
    random_image,
    randomise,
    relative_error,
)

# Both forms add the same products in another order: some 1e-7 in float32.
TOLERANCE = 1e-5


def _video(name: str = "efficientvit3d_b0", **kwargs: Any) -> nn.EfficientViT3d:
    model = nn.create_model(name, num_classes=5, **kwargs)
    assert isinstance(model, nn.EfficientViT3d)
    randomise(model)
    return model.eval()


@torch.no_grad()
@pytest.mark.parametrize("name", ["efficientvit3d_b0", "efficientvit3d_l1"])
@pytest.mark.parametrize(
    "kwargs",
    [
        {"temporal_kernels": (3, 3, 3, 3, 3)},
        {"temporal_kernels": (5, 1, 3, 1, 7)},
        {"temporal_kernels": (3, 1, 3, 3, 3), "temporal_padding": "replicate"},
        {"temporal_kernels": (3, 1, 1, 3, 3), "temporal_strides": (2, 1, 1, 2, 1)},
        {"temporal_kernels": (1, 1, 1, 1, 1), "temporal_strides": (1, 2, 2, 1, 1)},
        {"temporal_kernels": (3, 3, 3, 3, 3), "causal": True, "window": 2},
        {"temporal_kernels": (2, 1, 4, 3, 2), "causal": True},
    ],
)
@pytest.mark.parametrize("frames", [1, 5])
def test_lowered_equals_conv3d(name: str, kwargs: dict[str, Any], frames: int) -> None:
    model = _video(name, num_frames=4, **kwargs)
    clip = random_clip(frames)
    assert relative_error(model(clip), model.forward_volume(clip)) <= TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize(
    "variant",
    [pytest.param(v, marks=pytest.mark.slow if v in ("l2", "l3") else ()) for v in VARIANTS],
)
def test_every_variant_steps_like_its_clip(variant: str) -> None:
    model = _video(f"efficientvit3d_{variant}", num_frames=2, causal=True)
    clip = random_clip(4)
    state = model.init_state(2, 32, 32)
    for frame, expected in zip(clip.unbind(2), model.forward_frames(clip).unbind(1), strict=True):
        logits, state = model.step(frame, state)
        assert relative_error(logits, expected) <= TOLERANCE


@torch.no_grad()
def test_a_temporal_stride_halves_the_frames_like_conv3d() -> None:
    model = _video(temporal_strides=(2, 1, 1, 1, 1), temporal_kernels=(3, 1, 1, 1, 1))
    conv = model.stem[0].conv
    clip = random_clip(5, 8)
    expected = torch.nn.functional.conv3d(clip, conv.weight, None, (2, 2, 2), (1, 1, 1))
    frames = clip.permute(2, 0, 1, 3, 4).flatten(0, 1)
    got = conv(frames, LoweredClip(2, causal=False, window=1))
    got = got.unflatten(0, (-1, 2)).permute(1, 2, 0, 3, 4)
    assert got.shape[2] == 3
    assert relative_error(got, expected) <= TOLERANCE


@torch.no_grad()
def test_a_causal_clip_gives_the_last_frames_logits_for_any_length() -> None:
    model = _video(num_frames=3, causal=True)
    for frames in (1, 3, 7):
        clip = random_clip(frames)
        assert relative_error(model(clip), model.forward_frames(clip)[:, -1]) <= TOLERANCE


@torch.no_grad()
def test_a_causal_network_never_sees_the_future() -> None:
    model = _video(num_frames=3, causal=True, temporal_kernels=(3, 3, 3, 3, 3))
    clip = random_clip(6)
    changed = clip.clone()
    changed[:, :, 4:] += 1.0
    before, after = model.forward_frames(clip), model.forward_frames(changed)
    assert relative_error(after[:, :4], before[:, :4]) <= TOLERANCE
    assert relative_error(after[:, 4:], before[:, 4:]) > 1e-3


@torch.no_grad()
def test_first_frames_are_not_diluted() -> None:
    """A static clip looks the same at every frame where only windows mix time."""
    model = _video(num_frames=4, causal=True, temporal_kernels=(1, 1, 1, 1, 1))
    image = random_image(32)
    frames = model.forward_frames(image.unsqueeze(2).expand(-1, -1, 6, -1, -1))
    for frame in frames.unbind(1):
        assert relative_error(frame, frames[:, -1]) <= TOLERANCE


@torch.no_grad()
def test_the_head_averages_the_frames_of_its_window() -> None:
    """Without attention's and taps' mixing, features of a window are the mean of its frames'."""
    model = _video(num_frames=3, causal=True, temporal_kernels=(1, 1, 1, 1, 1))
    x = torch.randn(5 * 2, 128, 1, 1, generator=torch.Generator().manual_seed(0))  # (T·B, C, 1, 1)
    alone = model.head.pool(x, LoweredClip(10, causal=True, window=1)).unflatten(0, (5, 2))
    pooled = model.head.pool(x, LoweredClip(2, causal=True, window=3)).unflatten(0, (5, 2))
    for t in range(5):
        expected = alone[max(0, t - 2) : t + 1].mean(0)
        assert relative_error(pooled[t], expected) <= TOLERANCE


def test_drop_path_drops_whole_clips_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    drop = DropPath(0.25)
    batch, frames = 2000, 3
    out = drop(torch.ones(frames * batch, 1, 2, 2), LoweredClip(batch, causal=True, window=1))
    per_clip = out.unflatten(0, (frames, batch)).transpose(0, 1).flatten(1)  # (B, T·H·W)
    assert torch.equal(per_clip.amin(1), per_clip.amax(1))
    assert sorted(set(per_clip[:, 0].tolist())) == pytest.approx([0.0, 1 / 0.75])
    assert float(per_clip.mean()) == pytest.approx(1.0, abs=0.05)
    kept = drop.eval()(torch.ones(3, 1), LoweredClip(3, causal=True, window=1))
    assert torch.equal(kept, torch.ones(3, 1))


@pytest.mark.parametrize("variant", ["b0", "l1"])
def test_drop_path_grows_from_none_to_the_given_rate(variant: str) -> None:
    with torch.device("meta"):
        model = nn.create_model(f"efficientvit_{variant}", drop_path=0.2)
    blocks = [m for m in model.modules() if getattr(m, "residual", True)]
    rates = [b.drop_path.probability for b in blocks if hasattr(b, "drop_path")]
    assert rates[0] == 0.0
    assert max(rates) == pytest.approx(0.2)
    assert rates == sorted(rates)


def test_the_state_starts_at_zero_in_the_networks_precision_and_leaves_it_as_it_is() -> None:
    model = _video(num_frames=3, causal=True).double()
    model.train()
    model.head.norm.eval()
    modes = [module.training for module in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = model.init_state(2, 32, 48)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    for tensor in state.values():
        assert tensor.dtype == torch.float64
        assert tensor.shape[0] == 2
        assert not tensor.any()


@torch.no_grad()
def test_a_step_returns_a_state_of_the_same_names_order_and_shapes_and_changes_none() -> None:
    model = _video(num_frames=3, causal=True)
    state = model.init_state(1, 32, 48)
    frame = torch.ones(1, 3, 32, 48)
    _, after = model.step(frame, state)
    assert list(after) == list(state)
    assert [t.shape for t in after.values()] == [t.shape for t in state.values()]
    assert not any(t.any() for t in state.values())


@torch.no_grad()
def test_wrong_states_are_refused() -> None:
    model = _video(num_frames=3, causal=True)
    frame = torch.ones(1, 3, 32, 32)
    with pytest.raises(ValueError, match=r"call init_state\(batch_size, height, width\)"):
        model.step(frame, model.init_state(1, 64, 64))
    with pytest.raises(ValueError, match="init_state"):
        model.step(frame, model.init_state(2, 32, 32))
    other = _video(num_frames=3, causal=True, temporal_kernels=(1, 1, 1, 3, 3))
    with pytest.raises(ValueError, match="state is of another network"):
        model.step(frame, other.init_state(1, 32, 32))
    missing = model.init_state(1, 32, 32)
    del missing[next(iter(missing))]
    with pytest.raises(ValueError, match="state is of another network"):
        model.step(frame, missing)


def test_a_centred_network_does_not_stream() -> None:
    model = _video()
    clip: Tensor = random_clip(2)
    with pytest.raises(ValueError, match="forward_frames needs a causal network"):
        model.forward_frames(clip)
    with pytest.raises(ValueError, match="init_state needs a causal network"):
        model.init_state()
    with pytest.raises(ValueError, match="step needs a causal network"):
        model.step(clip[:, :, 0], {})


def test_inputs_of_the_wrong_rank_are_refused() -> None:
    with pytest.raises(ValueError, match=r"takes \(B, 3, T, H, W\), got \(2, 3, 64, 64\)"):
        _video()(random_image())
    with pytest.raises(ValueError, match=r"takes \(B, 3, H, W\), got \(2, 3, 2, 32, 32\)"):
        nn.create_model("efficientvit_b0")(random_clip(2))
