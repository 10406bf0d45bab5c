from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from effvit_edge import nn
from effvit_edge.core.card import ModelCard, Preprocess
from effvit_edge.nn import EfficientViT
from effvit_edge.train.objective import normalise
from effvit_edge.train.scoring import TorchScorer
from tests.tiny_models import tiny_card

WINDOW, SIDE = 2, 32
SPEC = Preprocess(SIDE, SIDE, "squash", 1.0, (0.5, 0.4, 0.3), (0.25, 0.2, 0.1))


def network(causal: bool) -> tuple[EfficientViT, ModelCard]:
    torch.manual_seed(0)
    model = nn.create_model(
        "efficientvit3d_b0", num_classes=3, num_frames=WINDOW, causal=causal, head_widths=(16, 16)
    ).eval()
    card = tiny_card("stream" if causal else "clip")
    return model, replace(card, num_frames=WINDOW, preprocess=SPEC)


def some_frames(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*shape, SIDE, SIDE, 3), np.uint8)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("max_frames", [24, 512])
def test_views_are_what_the_network_answers_for_clips(causal: bool, max_frames: int) -> None:
    model, card = network(causal)
    views = some_frames(14, WINDOW)
    scorer = TorchScorer(model, card, max_frames=max_frames)  # 24: in two goes
    with torch.no_grad():
        expected = model(normalise(torch.from_numpy(views), SPEC)).numpy()
    np.testing.assert_allclose(scorer(views), expected, rtol=1e-4, atol=1e-5)


def test_stretches_of_a_long_sequence_are_the_whole_to_rounding() -> None:
    """Every layer sees back one window more, and its taps: six windows would not be enough."""
    torch.manual_seed(0)
    options = {"head_widths": (16, 16), "temporal_kernels": (1, 1, 1, 3, 3)}
    model = nn.create_model(
        "efficientvit3d_b0", num_classes=3, num_frames=WINDOW, causal=True, **options
    ).eval()
    with torch.no_grad():  # attention as strong as the shortcut beside it
        for name, parameter in model.named_parameters():
            if name.endswith("attention.proj.norm.weight"):
                parameter.fill_(3.0)
    _, card = network(causal=True)
    model.double()
    cut, whole = TorchScorer(model, card, max_frames=1), TorchScorer(model, card)
    assert cut.overlap == model.reach > 6 * WINDOW
    frames = some_frames(2 * cut.max_frames + 5)
    np.testing.assert_allclose(cut(frames), whole(frames), rtol=1e-6, atol=1e-6)
    cut.overlap = WINDOW
    assert np.abs(cut(frames) - whole(frames)).max() > 1e-5


def test_a_network_in_double_precision_is_fed_in_it() -> None:
    model, card = network(causal=False)
    frames = some_frames(5)
    single = TorchScorer(model, card)(frames)
    double = TorchScorer(model.double(), card)(frames)
    np.testing.assert_allclose(single, double, rtol=1e-3, atol=1e-4)
