from __future__ import annotations

from typing import Any

import pytest
import torch

from effvit_edge import nn
from tests.unit.nn.networks import VARIANTS, random_clip, random_image

# Published with the official code (mit-han-lab/efficientvit), parameters without rounding.
PARAMETERS = {
    "b0": 3_410_008,
    "b1": 9_102_024,
    "b2": 24_330_712,
    "b3": 48_646_056,
    "l1": 52_654_088,
    "l2": 63_707_016,
    "l3": 246_037_288,
}
GIGA_MACS = [
    ("b1", 224, 0.519),
    ("b1", 256, 0.677),
    ("b1", 288, 0.856),
    ("b2", 224, 1.585),
    ("b2", 288, 2.614),
    ("b3", 224, 3.954),
    ("b3", 288, 6.530),
    ("l1", 224, 5.258),
    ("l2", 224, 6.950),
    ("l2", 288, 11.48),
    ("l2", 384, 20.40),
    ("l3", 224, 27.59),
    ("l3", 384, 80.98),
]


def _slow(*variants: str) -> list[Any]:
    """Every variant, some of them only among the slow tests."""
    return [pytest.param(v, marks=pytest.mark.slow if v in variants else ()) for v in VARIANTS]


@pytest.mark.parametrize("variant", VARIANTS)
def test_image_presets_have_the_published_parameters(variant: str) -> None:
    with torch.device("meta"):
        model = nn.create_model(f"efficientvit_{variant}")
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[variant]


@pytest.mark.parametrize(("variant", "size", "giga_macs"), GIGA_MACS)
def test_image_presets_have_the_published_macs(variant: str, size: int, giga_macs: float) -> None:
    summary = nn.summarize(f"efficientvit_{variant}", size=size)
    assert summary.macs_per_frame / 1e9 == pytest.approx(giga_macs, rel=0.01)


def test_b0_has_the_published_tenth_of_a_giga_mac() -> None:
    summary = nn.summarize("efficientvit_b0")
    assert summary.parameters == PARAMETERS["b0"]
    assert round(summary.macs_per_frame / 1e9, 2) == 0.10


def test_a_step_costs_its_share_of_the_clip_and_the_state_is_counted() -> None:
    summary = nn.summarize("efficientvit3d_b1", num_frames=8)
    image = nn.summarize("efficientvit_b1")
    assert summary.macs_per_clip is not None and summary.state_bytes is not None
    assert image.macs_per_clip is None and image.state_bytes is None
    # The step does all its taps; the clip also, at every frame, and sums windows by a product.
    assert summary.macs_per_clip / 8 == pytest.approx(summary.macs_per_frame, rel=0.01)
    assert 1.0 < summary.macs_per_frame / image.macs_per_frame < 1.1
    model = nn.create_model("efficientvit3d_b1", num_frames=8, causal=True)
    assert isinstance(model, nn.EfficientViT3d)
    state = model.init_state()
    assert summary.state_bytes == sum(t.numel() * t.element_size() for t in state.values())


@pytest.mark.parametrize(("variant", "megabytes"), [("b1", 1.3), ("b3", 11.4)])
def test_the_attention_rings_have_the_size_the_design_gives(variant: str, megabytes: float) -> None:
    with torch.device("meta"):
        model = nn.create_model(f"efficientvit3d_{variant}", num_frames=8, causal=True)
        assert isinstance(model, nn.EfficientViT3d)
        state = model.init_state()
    rings = [t for name, t in state.items() if name.endswith("attention")]
    assert round(sum(t.numel() * 4 for t in rings) / 1e6, 1) == megabytes


def test_every_preset_builds_without_memory_and_knows_its_keywords() -> None:
    names = nn.list_models()
    assert names == [f"efficientvit{kind}_{v}" for kind in ("", "3d") for v in VARIANTS]
    for name in names:
        with torch.device("meta"):
            model = nn.create_model(name, num_classes=5)
            again = nn.create_model(name, **model.network_kwargs)
        assert model.preset_name == name
        assert model.network_kwargs == again.network_kwargs
        assert [t.shape for t in model.parameters()] == [t.shape for t in again.parameters()]


@pytest.mark.parametrize("variant", _slow("l3"))
def test_every_video_preset_runs_forward_backward_and_steps(variant: str) -> None:
    model = nn.create_model(
        f"efficientvit3d_{variant}", num_classes=3, num_frames=2, causal=True, drop_path=0.1
    )
    assert isinstance(model, nn.EfficientViT3d)
    clip = random_clip(2, 32)
    loss = model.train().forward_frames(clip).square().mean()
    loss.backward()
    assert torch.isfinite(loss)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    with torch.no_grad():
        logits, state = model.eval().step(clip[:, :, 0], model.init_state(2, 32, 32))
    assert logits.shape == (2, 3)
    assert state.keys() == model.init_state(2, 32, 32).keys()


@pytest.mark.parametrize("variant", _slow("l2", "l3"))
def test_every_image_and_centred_preset_runs_forward_and_backward(variant: str) -> None:
    image = nn.create_model(f"efficientvit_{variant}", num_classes=3)
    image(random_image(32)).sum().backward()
    clip = nn.create_model(f"efficientvit3d_{variant}", num_classes=3, num_frames=2)
    clip(random_clip(2, 32)).sum().backward()
    for model in (image, clip):
        assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("efficientvit_b4", "did you mean efficientvit_b"),
        ("efficientvit3d-b0", "did you mean efficientvit3d_b0"),
        ("xyz", r"list_models\(\) has all names"),
    ],
)
def test_an_unknown_name_is_refused_with_a_hint(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nn.create_model(name)


def test_an_unknown_keyword_is_refused_with_the_known_ones() -> None:
    with pytest.raises(TypeError, match=r"takes no 'widow'; it takes .*window"):
        nn.create_model("efficientvit3d_b0", widow=3)
    with pytest.raises(TypeError, match="efficientvit_b0 takes no 'causal'"):
        nn.create_model("efficientvit_b0", causal=True)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"causal": True, "temporal_strides": (1, 2, 1, 1, 1)}, "causal.*temporal_strides"),
        ({"temporal_kernels": (1, 2, 1, 1, 1)}, "odd temporal_kernels"),
        ({"temporal_kernels": (3, 3, 3)}, "five numbers"),
        ({"temporal_kernels": (0, 1, 1, 1, 1)}, "at least 1"),
        ({"temporal_strides": (1, 1, 1, 1, 0)}, "at least 1"),
        ({"window": 4}, "window needs causal=True"),
        ({"window": 0, "causal": True}, "window must be at least 1"),
        ({"num_frames": 0}, "num_frames must be at least 1"),
        ({"head_widths": (3,)}, "head_widths takes two numbers"),
        ({"temporal_padding": "reflect"}, "zeros or replicate, got 'reflect'"),
        ({"temporal_padding": "replicate", "causal": True}, "temporal_padding='zeros'"),
    ],
)
def test_values_that_do_not_fit_are_refused(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nn.create_model("efficientvit3d_b0", **kwargs)
