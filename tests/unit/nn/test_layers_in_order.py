from __future__ import annotations

import pytest

from effvit_edge import nn


@pytest.mark.parametrize("variant", ["b0", "l1"])
def test_layers_count_from_the_stem_to_the_head(variant: str) -> None:
    model = nn.create_model(f"efficientvit3d_{variant}", num_classes=2)
    layers = [model.layer_of(name) for name, _ in model.named_parameters()]
    assert layers == sorted(layers)
    assert set(layers) == set(range(model.num_layers))


def test_layers_of_b0_by_hand() -> None:
    """Depths 1, 2, 2, 2, 2: a stem of 2, stages of 2, 2, 3 and 3 with their stride-2 blocks."""
    model = nn.create_model("efficientvit_b0", num_classes=2)
    assert model.num_layers == 13
    for name, layer in (
        ("stem.0.conv.weight", 0),
        ("stem.1.depth_conv.conv.weight", 1),
        ("stages.0.0.point_conv.norm.bias", 2),
        ("stages.1.1.depth_conv.conv.weight", 5),
        ("stages.2.0.inverted_conv.conv.bias", 6),
        ("stages.3.2.attention.qkv.weight", 11),
        ("head.in_conv.conv.weight", 12),
        ("head.classifier.bias", 12),
    ):
        assert model.layer_of(name) == layer
