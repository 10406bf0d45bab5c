from __future__ import annotations

import math

import pytest
import torch

from effvit_edge import nn
from effvit_edge.core.card import Preprocess
from effvit_edge.train.objective import frame_logits, masked_loss, normalise

SPEC = Preprocess(4, 4, "squash", 1.0, (0.5, 0.4, 0.3), (0.25, 0.2, 0.1))


def test_normalised_frames_are_in_channel_first_order() -> None:
    frames = torch.zeros(2, 3, 4, 5, 3, dtype=torch.uint8)
    frames[1, 2, 3, 4] = torch.tensor([255, 0, 51], dtype=torch.uint8)
    clip = normalise(frames, SPEC)
    assert clip.shape == (2, 3, 3, 4, 5)
    expected = [(1 - 0.5) / 0.25, (0 - 0.4) / 0.2, (0.2 - 0.3) / 0.1]
    assert clip[1, :, 2, 3, 4].tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("causal", [True, False])
def test_the_layout_in_memory_changes_no_number(causal: bool) -> None:
    torch.manual_seed(0)
    model = nn.create_model(
        "efficientvit3d_b0", num_classes=3, num_frames=2, causal=causal, head_widths=(16, 16)
    ).eval()
    frames = torch.randint(0, 256, (2, 2, 32, 32, 3), dtype=torch.uint8)
    clip = normalise(frames, SPEC)
    with torch.no_grad():
        torch.testing.assert_close(
            frame_logits(model, clip), frame_logits(model, clip.contiguous()), rtol=1e-4, atol=1e-5
        )


def test_an_image_network_answers_for_each_frame_by_itself() -> None:
    torch.manual_seed(0)
    model = nn.create_model("efficientvit_b0", num_classes=3, head_widths=(16, 16)).eval()
    clip = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        answers = frame_logits(model, clip)
        assert answers.shape == (2, 4, 3)
        for b, t in ((0, 0), (1, 0), (0, 3), (1, 2)):
            torch.testing.assert_close(answers[b, t], model(clip[b : b + 1, :, t])[0])


def test_frames_in_warm_up_or_without_label_do_not_count() -> None:
    logits = torch.randn(2, 5, 3)
    labels = torch.tensor([[0, 1, 2, -1, 1], [2, 2, -1, 0, 0]])
    loss, accuracy = masked_loss(logits, labels, warmup_frames=2, label_smoothing=0.0)
    kept = [(0, 2), (0, 4), (1, 3), (1, 4)]
    losses = [-math.log(logits[b, t].softmax(-1)[labels[b, t]]) for b, t in kept]
    right = [logits[b, t].argmax() == labels[b, t] for b, t in kept]
    assert loss.item() == pytest.approx(sum(losses) / 4, rel=1e-5)
    assert accuracy.item() == pytest.approx(sum(right) / 4)


def test_an_answer_about_the_clip_is_held_to_its_last_label() -> None:
    logits = torch.randn(1, 1, 3)
    loss, _ = masked_loss(logits, torch.tensor([[0, 0, 2]]), warmup_frames=2, label_smoothing=0.0)
    assert loss.item() == pytest.approx(-math.log(logits[0, 0].softmax(-1)[2]), rel=1e-5)


def test_a_batch_without_labels_has_no_loss() -> None:
    logits = torch.randn(1, 2, 3, requires_grad=True)
    loss, _ = masked_loss(logits, torch.full((1, 2), -1), warmup_frames=0, label_smoothing=0.1)
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None and not logits.grad.any()
