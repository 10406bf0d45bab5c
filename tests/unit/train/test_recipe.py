from __future__ import annotations

from pathlib import Path

import pytest

from effvit_edge.core.errors import InputError
from effvit_edge.train.recipe import MotionData, VideosData, load_recipe, parse_recipe

MODELS = Path(__file__).resolve().parents[3] / "models"

SMALL = """
model: {preset: efficientvit3d_b0, causal: true}
input: {height: 32, width: 32, fps: 10, frames: 6}
data: {kind: motion}
optim: {lr: 1e-3, batch_size: 2, steps: 5}
"""


def write(folder: Path, text: str = SMALL) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_recipes_of_the_repository_are_accepted(path: Path) -> None:
    recipe = load_recipe(path)
    assert parse_recipe(recipe.to_dict()) == recipe


def test_values_are_typed_and_defaults_filled(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path))
    assert recipe.optim.lr == 0.001  # YAML 1.1 reads 1e-3 as text
    assert recipe.input.fps == 10.0 and isinstance(recipe.input.fps, float)
    assert isinstance(recipe.data, MotionData)
    assert recipe.seed == 0


def test_set_overrides_a_key_with_its_type(tmp_path: Path) -> None:
    overrides = ["optim.lr=0.5", "optim.steps=7", "seed=3", "model.options={drop_path: 0.1}"]
    recipe = load_recipe(write(tmp_path), overrides)
    assert (recipe.optim.lr, recipe.optim.steps, recipe.seed) == (0.5, 7, 3)
    assert recipe.model.options == {"drop_path": 0.1}


def test_set_can_change_the_kind_of_data(tmp_path: Path) -> None:
    overrides = ["data={kind: videos, root: clips}", "data.train=[split=train, fold!=0]"]
    recipe = load_recipe(write(tmp_path), overrides)
    assert isinstance(recipe.data, VideosData)
    assert recipe.data.train == ("split=train", "fold!=0")


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("optim.learning=1", "optim.learning: unknown key"),
        ("optim.lrr=1", "Did you mean 'lr'?"),
        ("data.textuers=5", "Did you mean 'textures'?"),
        ("modle.preset=x", "Did you mean 'model'?"),
        ("optim.steps=many", "optim.steps: expected a whole number, got 'many'"),
        ("optim.steps=1.5", "optim.steps: expected a whole number"),
        ("optim.steps=true", "optim.steps: expected a whole number"),
        ("model.causal=1", "model.causal: expected true or false"),
        ("input.resize=crop", "expected one of short_side, squash, letterbox"),
        ("input.mean=[0, 0]", "input.mean: expected 3 values, got 2"),
        ("data.kind=films", "data.kind: expected one of motion, videos, got 'films'"),
        ("data=5", "data: expected a section of keys"),
        (
            "optim.epochs=2",
            "both optim.steps (5) and optim.epochs (2) are set: add --set optim.steps=0.",
        ),
        ("optim.steps=0", "give one of optim.steps and optim.epochs"),
        ("optim.warmup_frames=6", "optim.warmup_frames must be below input.frames"),
        ("data={kind: videos}", "data.root must name the folder"),
        ("optim.lr", "expected section.key=value"),
        ("optim.lr.x=1", "lr is a value, not a section"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, override: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        load_recipe(write(tmp_path), [override])
    assert sentence in str(caught.value)


@pytest.mark.parametrize("text", ["", "just words", "a: [1", "model: {}\n"])
def test_a_file_that_is_no_recipe_is_refused_by_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"recipe\.yaml"):
        load_recipe(write(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml cannot be read"):
        load_recipe(tmp_path / "none.yaml")


def test_the_hash_is_of_what_decides_the_result(tmp_path: Path) -> None:
    path = write(tmp_path)
    base = load_recipe(path).hash()
    same = ["output.folder=elsewhere", "speed.workers=4", "eval.every=3"]
    assert all(load_recipe(path, [override]).hash() == base for override in same)
    other = ["optim.lr=0.5", "seed=1", "input.fps=12", "data.textures=3", "model.causal=false"]
    assert all(load_recipe(path, [override]).hash() != base for override in other)


def test_hash_and_card_form_do_not_know_where_things_lie(tmp_path: Path) -> None:
    path = write(tmp_path)
    here, there = (
        load_recipe(
            path,
            [
                f"data={{kind: videos, root: {folder}/clips, csv: {folder}/rows.csv}}",
                f"model.init={folder}/b0.pt",
            ],
        )
        for folder in ("/home/me", "/mnt/disk")
    )
    assert here.hash() == there.hash()
    assert here.deciding() != there.deciding()
    assert "/" not in str(here.portable())
    assert here.portable()["model"]["init"] == "b0.pt"
    assert load_recipe(path, ["model.init=b1.pt"]).hash() != load_recipe(path).hash()
