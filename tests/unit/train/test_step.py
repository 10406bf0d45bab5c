from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.train.diagnose import diagnose
from effvit_edge.train.loop import Trainer
from effvit_edge.train.precision import Precision
from effvit_edge.train.step import torch_seed
from tests.unit.train.recipes import tiny_recipe

STORED_SEEDS = [1257939883348902525, 8268123549609556230]
"""Of (0, 0, 0) and (1, 2, 3): a run begun with an earlier version goes on with its own numbers."""
EXACT = {"options": {"head_widths": [16, 16]}, "batch_norm": "frozen"}


def batch_of(trainer: Trainer, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    clips = [trainer.clips[number] for number in range(count)]
    frames, targets = zip(*clips, strict=True)
    return tuple(torch.stack([torch.as_tensor(x) for x in part]) for part in (frames, targets))  # type: ignore[return-value]


def gradients(trainer: Trainer, count: int) -> dict[str, torch.Tensor]:
    trainer.stepper.backward(trainer.stepper.network, 0, *batch_of(trainer, count))
    return {n: p.grad for n, p in trainer.model.named_parameters() if p.grad is not None}


def test_accumulated_parts_have_the_gradients_of_one_batch(tmp_path: Path) -> None:
    results = []
    for parts in (1, 4):
        recipe = tiny_recipe(
            tmp_path,
            model=EXACT,
            data={"switch_share": 1.0, "switch_ignore": 3},  # parts with unequal counts of answers
            optim={"batch_size": 4, "accumulate": parts},
            speed={"precision": "fp64"},
        )
        results.append(gradients(Trainer(recipe), 4))
    assert all(value.dtype == torch.float64 for value in results[0].values())
    for name, expected in results[0].items():
        torch.testing.assert_close(results[1][name], expected, rtol=1e-10, atol=1e-12)


def test_recomputing_takes_the_same_step(tmp_path: Path) -> None:
    states = []
    for recompute in (False, True):
        trainer = Trainer(tiny_recipe(tmp_path, speed={"recompute": recompute}))
        assert trainer._one_step(*batch_of(trainer, 2)).finite
        states.append(trainer.model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_what_is_random_depends_on_seed_step_and_rank_alone(tmp_path: Path) -> None:
    seeds = {torch_seed(s, t, r) for s in range(3) for t in range(3) for r in range(3)}
    assert len(seeds) == 27
    assert [torch_seed(0, 0, 0), torch_seed(1, 2, 3)] == STORED_SEEDS
    options = {"head_widths": [16, 16], "head_dropout": 0.5}
    trainer = Trainer(tiny_recipe(tmp_path, model={"options": options}))
    batch = batch_of(trainer, 2)

    def loss(step: int) -> float:
        return float(trainer.stepper.backward(trainer.stepper.network, step, *batch)[0])

    first = loss(3)
    torch.manual_seed(99)
    assert loss(3) == first != loss(4)


@pytest.mark.parametrize(
    ("kind", "inside", "weights"),
    [
        ("fp32", torch.float32, torch.float32),
        ("fp64", torch.float64, torch.float64),
        ("bf16", torch.bfloat16, torch.float32),
        ("fp16", torch.float16, torch.float32),
    ],
)
def test_every_precision_trains(
    tmp_path: Path, kind: str, inside: torch.dtype, weights: torch.dtype
) -> None:
    trainer = Trainer(tiny_recipe(tmp_path, speed={"precision": kind}))
    kinds = set()
    layer = next(m for m in trainer.model.modules() if isinstance(m, torch.nn.Linear))
    layer.register_forward_hook(lambda _module, _inputs, output: kinds.add(output.dtype))
    batch = batch_of(trainer, 2)
    outcomes = [trainer._one_step(*batch)]
    while outcomes[-1].overflow:  # fp16 begins with a scale that is too large
        outcomes.append(trainer._one_step(*batch))
    assert outcomes[-1].finite and outcomes[-1].loss > 0
    assert len(outcomes) == 1 or kind == "fp16"
    assert kinds == {inside}
    assert {p.dtype for p in trainer.model.parameters()} == {weights}


def test_an_overflow_is_the_scalers_affair_until_the_scale_is_one(tmp_path: Path) -> None:
    trainer = Trainer(tiny_recipe(tmp_path, speed={"precision": "fp16"}))
    batch = batch_of(trainer, 2)
    parameter = next(trainer.model.parameters())
    spoil = parameter.register_hook(lambda gradient: gradient * float("inf"))
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    scales = []
    for _ in range(17):
        scales.append(trainer.stepper.precision.scale)
        outcome = trainer._one_step(*batch)
        assert not outcome.finite and outcome.overflow == (scales[-1] > 1)
    assert scales == [2.0 ** (16 - i) for i in range(17)]
    assert (trainer.counters.skipped, trainer.counters.skipped_in_a_row) == (17, 1)
    assert all(torch.equal(before[n], v) for n, v in trainer.model.state_dict().items())
    spoil.remove()
    assert trainer._one_step(*batch).finite
    assert trainer.counters.skipped_in_a_row == 0


def test_the_loss_scale_is_resumed(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, speed={"precision": "fp16"})
    first = Trainer(recipe)
    scaler = first.stepper.precision.scaler
    scaler.load_state_dict({**scaler.state_dict(), "scale": 128.0, "_growth_tracker": 7})
    first._write("last")
    second = Trainer(recipe, resume=True)
    assert second.stepper.precision.scaler.state_dict() == scaler.state_dict()
    assert second.stepper.precision.scale == 128.0


def test_a_device_without_that_precision_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any, **_named: Any) -> None:
        raise RuntimeError('"slow_conv2d_cpu" not implemented for Half')

    monkeypatch.setattr(torch.nn.Conv2d, "forward", refuse)
    with pytest.raises(EnvironmentFault, match=r"cpu does not train in fp16: .*not implemented"):
        Precision("fp16", torch.device("cpu"))


def test_the_first_gradient_that_is_not_finite_is_named(tmp_path: Path) -> None:
    trainer = Trainer(tiny_recipe(tmp_path, model=EXACT))
    batch = batch_of(trainer, 2)
    pool = trainer.model.head.in_conv.conv
    pool.register_full_backward_hook(
        lambda _module, inputs, _outputs: (inputs[0] * float("nan"), *inputs[1:])
    )
    finding = diagnose(
        trainer.model, lambda: trainer.stepper.backward(trainer.stepper.network, 0, *batch)
    )
    assert finding.module is None
    assert finding.gradient is not None and finding.gradient.startswith("stages.3.2.local.")
