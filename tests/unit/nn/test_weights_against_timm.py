"""Image weights held to timm's own networks, which nobody here wrote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from effvit_edge import nn
from tests.unit.nn.networks import (
    VARIANTS,
    create_timm,
    random_image,
    relative_error,
    to_official,
)

# A float32 rounding is 6e-8 of a value. A path through these networks has 30 to 100 layers, each
# rounding a few times and summing up to some thousand products in another order than timm, which
# grows like the square root: 1e-6 or so, seen as 2e-7 to 2e-6. A wrong tap, eps or head is 1e-3 on.
TOLERANCE = 1e-5

# The largest takes 3 GB and half a minute; l2 differs from l1 in depth only.
LARGEST = ("l2", "l3")
ALL = [pytest.param(v, marks=pytest.mark.slow if v in LARGEST else ()) for v in VARIANTS]
SMALL_ACTIVATION = 2e-3


class Reference:
    """timm's network of one variant, as it is and with queries and keys near 2e-3."""

    def __init__(self, variant: str) -> None:
        network = create_timm(variant)
        self.variant = variant
        self.image = random_image()
        self.weights: dict[str, dict[str, Tensor]] = {}
        self.logits: dict[str, Tensor] = {}
        for scale in ("plain", "small"):
            if scale == "small":
                _shrink_queries_and_keys(network, self.image, 16 if variant in ("b0", "b1") else 32)
            self.weights[scale] = {n: t.clone() for n, t in network.state_dict().items()}
            with torch.no_grad():
                self.logits[scale] = network(self.image)


def _shrink_queries_and_keys(network: torch.nn.Module, image: Tensor, head_dim: int) -> None:
    """Scale them layer after layer in one pass; the values stay, so that attention counts."""

    def shrink(layer: torch.nn.Module, args: Any, out: Tensor) -> Tensor:
        part = torch.arange(out.shape[1]) // head_dim % 3  # each head: query, key, value
        factor = torch.where(part == 2, 1.0, SMALL_ACTIVATION / out.std()).view(-1, 1, 1)
        layer.get_parameter("weight").mul_(factor.unsqueeze(1))
        return out * factor

    layers = [m for name, m in network.named_modules() if name.endswith("qkv.conv")]
    hooks = [layer.register_forward_hook(shrink) for layer in layers]
    with torch.no_grad():
        network(image)
    for hook in hooks:
        hook.remove()


@pytest.fixture(scope="module", params=ALL)
def reference(request: pytest.FixtureRequest) -> Iterator[Reference]:
    yield Reference(request.param)


def _video(variant: str, **kwargs: Any) -> nn.EfficientViT3d:
    model = nn.create_model(f"efficientvit3d_{variant}", num_classes=1000, **kwargs).eval()
    assert isinstance(model, nn.EfficientViT3d)
    return model


def _static(image: Tensor, frames: int) -> Tensor:
    return image.unsqueeze(2).expand(-1, -1, frames, -1, -1)


@torch.no_grad()
@pytest.mark.parametrize("scale", ["plain", "small"])
def test_image_network_gives_timm_logits(reference: Reference, scale: str) -> None:
    model = nn.create_model(f"efficientvit_{reference.variant}").eval()
    report = nn.load_image_weights(model, reference.weights[scale])
    assert relative_error(model(reference.image), reference.logits[scale]) <= TOLERANCE
    assert report.layout == "timm"
    assert set(report.loaded) == set(model.state_dict())
    assert not report.skipped and not report.initial


@torch.no_grad()
@pytest.mark.parametrize("scale", ["plain", "small"])
def test_causal_network_gives_timm_logits_at_every_frame_of_a_static_clip(
    reference: Reference, scale: str
) -> None:
    model = _video(reference.variant, num_frames=2, causal=True, temporal_kernels=(2, 3, 1, 3, 2))
    nn.load_image_weights(model, reference.weights[scale])
    frames = model.forward_frames(_static(reference.image, 3))  # the window fills, then moves
    for frame in frames.unbind(1):
        assert relative_error(frame, reference.logits[scale]) <= TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize("scale", ["plain", "small"])
def test_centred_network_gives_timm_logits_on_a_static_clip(
    reference: Reference, scale: str
) -> None:
    model = _video(reference.variant, num_frames=3, temporal_kernels=(3, 1, 3, 3, 5))
    nn.load_image_weights(model, reference.weights[scale])
    logits = model(_static(reference.image, 3))
    assert relative_error(logits, reference.logits[scale]) <= TOLERANCE


@torch.no_grad()
def test_official_names_give_timm_logits(reference: Reference) -> None:
    model = nn.create_model(f"efficientvit_{reference.variant}").eval()
    official = to_official(reference.weights["plain"], reference.variant)
    report = nn.load_image_weights(model, {"state_dict": official})
    assert relative_error(model(reference.image), reference.logits["plain"]) <= TOLERANCE
    assert report.layout == "official"
    assert not report.skipped and not report.initial


def test_eps_matters_where_activations_are_small(reference: Reference) -> None:
    """The small weights reach the range where a wrong eps shows; else those tests are blind."""
    model = nn.create_model(f"efficientvit_{reference.variant}", eps=1e-15).eval()
    nn.load_image_weights(model, reference.weights["small"])
    with torch.no_grad():
        assert relative_error(model(reference.image), reference.logits["small"]) > 10 * TOLERANCE


def test_our_tensors_stand_in_the_order_of_both_layouts(reference: Reference) -> None:
    """An order-identity that the names know nothing of: tensor i of ours is tensor i of theirs."""
    timm = reference.weights["plain"]
    model = nn.create_model(f"efficientvit_{reference.variant}")
    nn.load_image_weights(model, timm)
    own = model.state_dict()
    assert len(own) == len(timm)
    for ours, theirs in zip(own.values(), timm.values(), strict=True):
        assert torch.equal(ours, theirs)


@torch.no_grad()
def test_average_inflation_is_image_equivalent_with_replicated_frames() -> None:
    reference = Reference("b0")
    model = _video(
        "b0",
        num_frames=3,
        temporal_kernels=(3, 3, 1, 3, 7),
        temporal_padding="replicate",
    )
    nn.load_image_weights(model, reference.weights["plain"], inflation="average")
    clip = _static(reference.image, 3)
    assert relative_error(model(clip), reference.logits["plain"]) <= TOLERANCE
    assert relative_error(model.forward_volume(clip), reference.logits["plain"]) <= TOLERANCE
    kernel = model.state_dict()["stages.3.1.attention.aggregate_space.weight"]
    assert torch.equal(kernel[:, :, 0], kernel[:, :, -1])
    assert kernel.abs().min() > 0
