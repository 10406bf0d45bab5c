from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from effvit_edge import nn
from effvit_edge.cli.main import main
from effvit_edge.core import schema
from effvit_edge.core.errors import InputError
from effvit_edge.data.sets.registry import find_set
from effvit_edge.nn.efficientvit.presets import PRESETS
from effvit_edge.train import sections
from effvit_edge.train.recipe import Recipe, load_recipe, parse_recipe
from effvit_edge.train.sections import MotionData, VideosData
from tests.timm_shim import import_timm

MODELS = Path(__file__).resolve().parents[3] / "models"
SECTIONS = {
    "model": sections.ModelRecipe,
    "input": sections.InputRecipe,
    "data": sections.VideosData,
    "augment": sections.AugmentRecipe,
    "optim": sections.OptimRecipe,
    "eval": sections.EvalRecipe,
    "speed": sections.SpeedRecipe,
    "output": sections.OutputRecipe,
}

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


# base.yaml files hold what recipes share, and are none themselves.
RECIPES = sorted(path for path in MODELS.rglob("*.yaml") if path.name != "base.yaml")
PUBLISHED = [path for path in RECIPES if path.parent != MODELS]


def _id(path: Path) -> str:
    return path.relative_to(MODELS).with_suffix("").as_posix()


@pytest.mark.parametrize("path", RECIPES, ids=_id)
def test_the_recipes_of_the_repository_are_accepted(path: Path) -> None:
    recipe = load_recipe(path)
    assert parse_recipe(recipe.to_dict()) == recipe
    assert recipe.output.folder != "runs/default"
    if isinstance(recipe.data, VideosData):
        options = find_set(recipe.data.set).options
        schema.read(options, recipe.data.options, "data.options")


def test_no_two_recipes_write_to_one_folder() -> None:
    folders = [load_recipe(path).output.folder for path in RECIPES]
    assert len(set(folders)) == len(folders)


def test_there_is_a_recipe_for_every_variant_and_size_on_epic_kitchens() -> None:
    names = {path.stem for path in PUBLISHED if path.parent.name == "epic100"}
    wanted = {f"{variant}_{size}" for variant in PRESETS for size in (224, 288)}
    assert wanted | {"b0_stream", "b1_stream", "frames_b1_288"} == names


@pytest.mark.parametrize("path", PUBLISHED, ids=_id)
def test_a_published_recipe_says_what_its_file_name_says(path: Path) -> None:
    recipe = load_recipe(path)
    variant = next(part for part in path.stem.split("_") if part in PRESETS)
    assert recipe.model.preset.endswith(f"_{variant}")
    if path.stem[-3:].isdigit():
        assert recipe.input.height == recipe.input.width == int(path.stem[-3:])
    assert recipe.model.causal == path.stem.endswith("stream")


@pytest.mark.parametrize("path", PUBLISHED, ids=_id)
def test_a_published_recipe_makes_a_network(path: Path) -> None:
    model = load_recipe(path).model
    video = "3d" in model.preset
    kwargs = {"num_frames": model.num_frames, "causal": model.causal} if video else {}
    with torch.device("meta"):
        network = nn.create_model(model.preset, num_classes=3806, **kwargs, **model.options)
    assert model.options.items() <= schema.plain(network.network_kwargs).items()
    assert network.causal == model.causal


@pytest.mark.parametrize("path", RECIPES, ids=_id)
def test_weights_and_their_settings_are_those_of_timm(path: Path) -> None:
    recipe = load_recipe(path)
    init = recipe.model.init or ""
    if not init.startswith("timm:"):
        return
    import_timm()
    from timm.models import get_pretrained_cfg, list_models

    name = init.removeprefix("timm:")
    assert name in list_models("efficientvit_*", pretrained=True)
    assert f"_{recipe.model.preset[-2:]}." in name
    settings = get_pretrained_cfg(name)
    assert settings is not None
    assert (recipe.input.mean, recipe.input.std) == (settings.mean, settings.std)
    if settings.input_size[1:] == (recipe.input.height, recipe.input.width):
        assert recipe.input.crop_ratio == settings.crop_pct


@pytest.mark.parametrize("path", RECIPES, ids=_id)
def test_causal_recipes_show_three_windows_and_ask_after_the_first_frames(path: Path) -> None:
    recipe = load_recipe(path)
    if recipe.model.causal:
        assert recipe.input.frames >= 3 * recipe.model.num_frames
        assert 0 < recipe.optim.warmup_frames < recipe.model.num_frames


@pytest.mark.parametrize("path", PUBLISHED, ids=_id)
def test_eight_gpus_share_a_batch_without_remainder(path: Path) -> None:
    optim = load_recipe(path).optim
    assert optim.batch_size % (8 * optim.accumulate) == 0
    assert optim.batch_size // (8 * optim.accumulate) >= 8  # clips that a norm sees at once


@pytest.mark.parametrize("path", PUBLISHED, ids=_id)
def test_large_sets_are_not_decoded_into_memory_before_the_first_step(path: Path) -> None:
    data = load_recipe(path).data
    assert isinstance(data, VideosData) and data.cache_gb == 0


def test_a_recipe_holds_only_what_differs_from_the_one_it_extends(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path)
    (tmp_path / "deep" / "child.yaml").write_text(
        "extends: ../recipe.yaml\nmodel: {options: {drop_path: 0.1}}\noptim: {lr: 0.5}\n", "utf-8"
    )
    grandchild = tmp_path / "grandchild.yaml"
    grandchild.write_text(
        "extends: deep/child.yaml\nmodel: {options: {head_dropout: 0.2}}\nseed: 4\n", "utf-8"
    )
    recipe = load_recipe(grandchild, ["optim.steps=7"])
    assert (recipe.optim.lr, recipe.optim.batch_size, recipe.optim.steps) == (0.5, 2, 7)
    assert recipe.model.options == {"drop_path": 0.1, "head_dropout": 0.2}
    assert (recipe.input.height, recipe.seed) == (32, 4)


def test_extending_in_a_circle_is_refused(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.yaml").write_text(f"extends: {other}.yaml\n", "utf-8")
    with pytest.raises(InputError, match=r"a\.yaml extends itself, through .*c\.yaml"):
        load_recipe(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("extends: none.yaml\n", r"none\.yaml cannot be read"),
        ("extends: 5\n", r"recipe\.yaml: extends takes the name of one recipe, got 5"),
        ("extends: [a.yaml]\n", "extends takes the name of one recipe"),
        ("extends: .\n", "cannot be read"),
    ],
)
def test_what_cannot_be_extended_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        load_recipe(write(tmp_path, text))


def test_a_key_that_a_parent_has_wrong_is_named_too(tmp_path: Path) -> None:
    write(tmp_path, SMALL.replace("batch_size", "batchsize"))
    child = tmp_path / "child.yaml"
    child.write_text("extends: recipe.yaml\n", "utf-8")
    with pytest.raises(
        InputError, match=r"optim\.batchsize: unknown key\. Did you mean 'batch_size'"
    ):
        load_recipe(child)


def test_every_key_of_every_section_is_read_and_written_back(tmp_path: Path) -> None:
    for data in ("{kind: videos, root: clips}", "{kind: motion}"):
        tree = load_recipe(write(tmp_path), [f"data={data}"]).to_dict()
        for section, kind in SECTIONS.items():
            if section != "data":
                assert tree[section].keys() == {f.name for f in dataclasses.fields(kind)}
        assert parse_recipe(tree).to_dict() == tree


@pytest.mark.parametrize("section", ["", *SECTIONS])
def test_an_unknown_key_ends_with_2_and_the_nearest_key(
    section: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = [f.name for f in dataclasses.fields(SECTIONS[section] if section else Recipe)]
    near = max(known, key=len)
    key = f"{section}.{near}x".lstrip(".")
    data = ["--set", "data={kind: videos, root: clips}"] if section == "data" else []
    assert main(["train", str(write(tmp_path)), *data, "--set", f"{key}=1"]) == 2
    assert f"{key}: unknown key. Did you mean '{near}'?" in capsys.readouterr().err


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
        ("optim.lr=.nan", "optim.lr: expected a finite number, got nan"),
        ("optim.weight_decay=-1", "optim.weight_decay must not be negative"),
        ("optim.warmup_steps=-3", "optim.warmup_steps must not be negative"),
        ("optim.min_lr_ratio=2", "optim.min_lr_ratio must lie in [0, 1]"),
        ("optim.betas=[0.9, 1.0]", "optim.betas must lie in [0, 1)"),
        ("eval.every=-1", "eval.every must not be negative"),
        ("eval.max_frames=0", "eval.max_frames must be positive"),
        ("input.std=[0.2, 0, 0.2]", "input.std must be positive"),
        ("seed=-1", "seed must not be negative"),
        ("optim.lr", "expected section.key=value"),
        ("optim.lr.x=1", "lr is a value, not a section"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, override: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        load_recipe(write(tmp_path), [override])
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("data.cache_gb=-1", "data.cache_gb must not be negative"),
        ("augment.scale=[1.0, 0.4]", "augment.scale must rise and lie in (0, 1]"),
        ("augment.aspect=[0, 1]", "augment.aspect must rise and be positive"),
        ("augment.speed=[2, 1]", "augment.speed must rise and be positive"),
        ("augment.color=-1", "augment.color must not be negative"),
        ("input.sampling=uniform", "augment.speed needs input.sampling=rate"),
    ],
)
def test_what_is_wrong_with_videos_is_named(tmp_path: Path, override: str, sentence: str) -> None:
    videos = ["data={kind: videos, root: clips}", "augment.speed=[0.5, 2]", "model.causal=false"]
    with pytest.raises(InputError) as caught:
        load_recipe(write(tmp_path), [*videos, override])
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
                f"data={{kind: videos, root: {folder}/clips, annotations: {folder}/rows.csv}}",
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
