from __future__ import annotations

from pathlib import Path

import pytest
import torch

from effvit_edge import nn
from effvit_edge.core.errors import InputError
from effvit_edge.train.checkpoint import load_model
from effvit_edge.train.freeze import kept_norms, select_trainable
from effvit_edge.train.loop import Trainer
from tests.unit.train.recipes import tiny_recipe


def state_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_a_linear_probe_leaves_the_backbone_bit_for_bit(tmp_path: Path) -> None:
    trainer = Trainer(tiny_recipe(tmp_path, model={"trainable": ["head.*"]}))
    before = state_of(trainer)
    trainer.run()
    moved = changed(before, state_of(trainer))
    assert moved == {name for name in before if name.startswith("head.")}
    model, _ = load_model(tmp_path)
    kept = model.state_dict()
    assert all(torch.equal(kept[n], before[n]) for n in before if not n.startswith("head."))


def test_frozen_norms_keep_their_statistics_and_learn_their_weights(tmp_path: Path) -> None:
    trainer = Trainer(tiny_recipe(tmp_path, model={"batch_norm": "frozen"}))
    before = state_of(trainer)
    trainer.run()
    moved = changed(before, state_of(trainer))
    assert not any("running" in name or "tracked" in name for name in moved)
    assert "stem.0.norm.weight" in moved and "head.in_conv.norm.bias" in moved


def test_a_norm_is_kept_where_none_of_it_is_trained() -> None:
    model = nn.create_model("efficientvit_b0", num_classes=2)
    select_trainable(model, ["stem.*", "stages.0.1.point_conv.norm.bias"])
    kept = set(map(id, kept_norms(model, "batch")))
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            trained = name.startswith("stem.") or name == "stages.0.1.point_conv.norm"
            assert (id(module) in kept) != trained


@pytest.mark.parametrize(
    ("pattern", "near"), [("heads.*", "head.*"), ("head.clasifier.*", "head.classifier.")]
)
def test_a_pattern_that_names_nothing_gets_the_nearest_names(pattern: str, near: str) -> None:
    model = nn.create_model("efficientvit_b0", num_classes=2)
    with pytest.raises(InputError) as caught:
        select_trainable(model, ["head.*", pattern])
    assert repr(pattern) in str(caught.value) and near in str(caught.value)
