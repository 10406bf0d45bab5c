from __future__ import annotations

import resource
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from effvit_edge.core.errors import EdgeError, InputError
from effvit_edge.train.alike import check_alike
from effvit_edge.train.checkpoint import load_model, load_training
from effvit_edge.train.datasets import build_data
from effvit_edge.train.distributed import Group, ToldElsewhere
from effvit_edge.train.loop import Trainer
from effvit_edge.train.recipe import Recipe
from tests.unit.train.recipes import MODEL, tiny_recipe
from tests.videos import grey_frames, write_video

SHORT = {"steps": 2, "ema": 0.0}


def test_there_is_a_checkpoint_before_the_first_step(tmp_path: Path) -> None:
    trainer = Trainer(tiny_recipe(tmp_path, optim=SHORT))

    def stop(*_: object) -> None:
        raise EdgeError("a clip could not be made")

    trainer.model.head.classifier.register_forward_pre_hook(stop)
    with pytest.raises(EdgeError, match="a clip could not be made"):
        trainer.run()
    assert load_training(tmp_path / "last").facts["counters"]["step"] == 0
    assert Trainer(tiny_recipe(tmp_path, optim=SHORT), resume=True).run().steps == 2


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(tmp_path: Path) -> None:
    Trainer(tiny_recipe(tmp_path, optim=SHORT))  # leaves recipe.yaml
    with pytest.raises(InputError, match=r"optim\.lr differs"):
        Trainer(tiny_recipe(tmp_path, optim={**SHORT, "lr": 0.5}), resume=True)
    assert Trainer(tiny_recipe(tmp_path, optim=SHORT), resume=True).run().steps == 2


def test_a_replacement_that_was_cut_is_resumed_and_not_overwritten(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, optim=SHORT)
    Trainer(recipe)._write("last")
    (tmp_path / "last").rename(tmp_path / ".last.old")
    with pytest.raises(InputError, match="already holds a run"):
        Trainer(recipe)
    assert Trainer(recipe, resume=True).run().steps == 2
    assert not (tmp_path / ".last.old").exists()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"model": {"preset": "efficientvit3d_b1"}}, r"model\.preset differs"),
        ({"data": {"textures": 4}}, r"data\.textures differs"),
        ({"model": {"options": {**MODEL["options"], "head_widths": [8, 8]}}}, r"model\.options"),
    ],
)
def test_a_checkpoint_of_another_recipe_is_not_resumed(
    tmp_path: Path, change: dict[str, dict[str, object]], key: str
) -> None:
    Trainer(tiny_recipe(tmp_path))._write("last")
    with pytest.raises(InputError, match=key):
        Trainer(tiny_recipe(tmp_path, **change), resume=True)


def test_the_same_data_in_another_place_is_resumed(tmp_path: Path) -> None:
    for place in ("here", "there"):
        for label in ("a", "b"):
            (tmp_path / place / label).mkdir(parents=True)
            for number in range(2):
                write_video(tmp_path / place / label / f"{number}.mp4", grey_frames(10), fps=10)

    def recipe(place: str) -> Recipe:
        data = {"kind": "videos", "root": str(tmp_path / place), "eval_share": 0.5}
        return tiny_recipe(tmp_path / "run", data=data, optim=SHORT)

    Trainer(recipe("here"))._write("last")
    shutil.rmtree(tmp_path / "here")
    assert Trainer(recipe("there"), resume=True).run().steps == 2


class OneOfTwo(Group):
    """Beside a process that has found something else."""

    world = 2

    def __init__(self, other: Any) -> None:
        self.other = other

    def gather(self, value: Any) -> list[Any]:
        return [value, self.other]


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ((3, None, {}), r"0 and 1 do not see the same run in .* a disk that all of them share"),
        ((None, 7, {}), "Process 0 has None training clips and process 1 has 7"),
        ((None, None, {"a/1.mp4": "It broke."}), r"could read a/1\.mp4, .* could not: It broke\."),
    ],
)
def test_processes_that_begin_otherwise_are_refused(
    tmp_path: Path, other: tuple[Any, ...], sentence: str
) -> None:
    clips, _ = build_data(tiny_recipe(tmp_path))
    check_alike(OneOfTwo((None, None, {})), tmp_path, None, clips)
    with pytest.raises(InputError, match=sentence):
        check_alike(OneOfTwo(other), tmp_path, None, clips)


def test_what_another_process_met_ends_this_one_without_a_word() -> None:
    with pytest.raises(ToldElsewhere) as caught, OneOfTwo(InputError("no disk")).meeting():
        pass
    assert caught.value.exit_code == InputError.exit_code
    with (
        pytest.raises(EdgeError, match="own") as own,
        OneOfTwo(InputError("no disk")).meeting(),
    ):
        raise EdgeError("own")
    assert type(own.value) is EdgeError
    with OneOfTwo(None).meeting():
        pass


def test_another_number_of_processes_is_allowed_and_told(tmp_path: Path) -> None:
    class Two(Group):
        world = 2

    recipe = tiny_recipe(tmp_path)
    Trainer(recipe)._write("last")
    assert Trainer(recipe, resume=True).warnings == []
    (warning,) = Trainer(recipe, resume=True, group=Two()).warnings
    assert warning.startswith("Going on with 2 processes instead of 1")


def test_a_run_that_became_longer_by_its_data_says_so(tmp_path: Path) -> None:
    trainer = Trainer(tiny_recipe(tmp_path))
    trainer.schedule = replace(trainer.schedule, total_steps=5)  # of fewer videos
    trainer._write("last")
    (warning,) = Trainer(tiny_recipe(tmp_path), resume=True).warnings
    assert warning.startswith("The run has 6 steps now instead of 5")


def test_a_full_disk_stops_the_run_and_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    """The kernel refuses to make a file as large as the weights, as on a full disk."""
    trainer = Trainer(tiny_recipe(tmp_path, optim={"steps": 4}, output={"checkpoint_every": 2}))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(*_: object) -> None:
        if trainer.model.training and trainer.step == 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))

    trainer.model.head.classifier.register_forward_pre_hook(fill)
    try:
        with pytest.raises(EdgeError, match=r"could not be written: .*--resume"):
            trainer.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    load_model(tmp_path)
    assert load_training(tmp_path / "last").facts["counters"]["step"] == 0
    assert [path.name for path in tmp_path.glob(".last*")] == []
    resumed = tiny_recipe(tmp_path, optim={"steps": 4}, output={"checkpoint_every": 2})
    assert Trainer(resumed, resume=True).run().steps == 4
