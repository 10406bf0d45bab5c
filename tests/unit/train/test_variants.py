"""Every network trains, in every number format: the loss falls and all stays finite."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmarks.variants.fixed_batch import Setting, fixed_batch, train
from effvit_edge.nn.efficientvit.presets import PRESETS
from effvit_edge.train.precision import Kind


@pytest.mark.parametrize(
    ("variant", "causal", "precision"),
    [
        ("b0", True, "bf16"),
        ("b0", False, "fp32"),
        ("b0", True, "fp16"),
        ("b1", True, "fp32"),
        ("b1", False, "bf16"),
        ("l1", True, "bf16"),
        pytest.param("l1", False, "fp32", marks=pytest.mark.slow),
    ],
)
def test_variants_learn_a_batch_in_eight_steps(variant: str, causal: bool, precision: Kind) -> None:
    run = train(Setting(variant, causal, precision, size=32, steps=8, head_widths=(64, 64)))
    assert len(run.losses) == 8
    assert run.learnt, (run.losses, run.not_finite)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("variant", list(PRESETS))
def test_every_variant_learns_a_batch_in_thirty_steps(
    variant: str, causal: bool, precision: Kind
) -> None:
    """The smallest batch with time in it: most of an L3's step goes to its 242 million weights."""
    run = train(Setting(variant, causal, precision, size=32, batch=3))
    assert run.learnt, (run.losses, run.not_finite)


def test_recomputing_activations_changes_no_loss() -> None:
    setting: dict[str, Any] = {"size": 32, "steps": 3, "head_widths": (16, 16)}
    kept = train(Setting("b0", True, **setting))
    recomputed = train(Setting("b0", True, recompute=True, **setting))
    assert recomputed.losses == kept.losses


def test_what_is_not_finite_is_counted() -> None:
    run = train(Setting("b0", True, size=32, steps=6, lr=1e30, head_widths=(16, 16)))
    assert run.not_finite["losses"] > 0 and run.not_finite["weights"] > 0
    assert not run.learnt


def test_only_time_tells_the_clips_apart() -> None:
    clips, labels = fixed_batch(Setting("b0", True))
    assert labels.tolist() == [0, 1, 2, 3, 4]
    assert all(torch.equal(clips[0, :, 0], clip[:, 0]) for clip in clips)
    assert len({clip[:, 1].numpy().tobytes() for clip in clips}) == len(clips)
