from __future__ import annotations

from pathlib import Path

import pytest

from effvit_edge.core.errors import InputError
from effvit_edge.train.schedule import make_schedule
from tests.unit.train.recipes import tiny_recipe


def test_the_rate_warms_up_and_falls_to_its_floor(tmp_path: Path) -> None:
    optim = {"warmup_steps": 10, "min_lr_ratio": 0.1, "lr": 1.0, "steps": 110}
    schedule = make_schedule(tiny_recipe(tmp_path, optim=optim), None)
    rates = [schedule.rate(step) for step in range(110)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == rates[10] == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[60] == pytest.approx(0.55) and rates[-1] == pytest.approx(0.1, abs=1e-3)


def videos(tmp_path: Path, optim: dict[str, float], evaluation: dict[str, float]) -> object:
    optim = {"steps": 0, "warmup_steps": 0, "batch_size": 4, **optim}
    return tiny_recipe(tmp_path, data={"kind": "videos", "root": "x"}, optim=optim, eval=evaluation)


def test_epochs_become_steps_of_the_whole_batch(tmp_path: Path) -> None:
    recipe = videos(tmp_path, {"epochs": 3, "warmup_epochs": 0.5}, {"every_epochs": 1})
    schedule = make_schedule(recipe, 10)  # type: ignore[arg-type]
    assert (schedule.total_steps, schedule.warmup_steps, schedule.eval_every) == (8, 2, 3)
    due = [step for step in range(1, 9) if schedule.evaluates_after(step)]
    assert due == [3, 6, 8]


def test_a_small_set_trains_for_so_many_steps_at_least(tmp_path: Path) -> None:
    recipe = videos(tmp_path, {"epochs": 3, "min_steps": 50}, {})
    assert make_schedule(recipe, 10).total_steps == 50  # type: ignore[arg-type]
    assert make_schedule(recipe, 1000).total_steps == 750  # type: ignore[arg-type]


def test_data_without_end_has_no_epochs(tmp_path: Path) -> None:
    recipe = videos(tmp_path, {"epochs": 3}, {})
    with pytest.raises(InputError, match="has no epochs"):
        make_schedule(recipe, None)  # type: ignore[arg-type]
