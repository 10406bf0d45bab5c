"""The recipe of a training run: a frozen tree read strictly from YAML.

Every key has a type and, where there is a sensible one, a default. An unknown key is refused with
the nearest known one. ``--set section.key=value`` overrides a key after the file is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from effvit_edge.core import schema
from effvit_edge.core.errors import InputError
from effvit_edge.train.sections import (
    AugmentRecipe,
    EvalRecipe,
    InputRecipe,
    ModelRecipe,
    MotionData,
    OptimRecipe,
    OutputRecipe,
    SpeedRecipe,
    VideosData,
)


@dataclass(frozen=True)
class Recipe:
    """Everything a run is made from."""

    model: ModelRecipe
    input: InputRecipe
    data: MotionData | VideosData
    optim: OptimRecipe
    augment: AugmentRecipe = field(default_factory=AugmentRecipe)
    eval: EvalRecipe = field(default_factory=EvalRecipe)
    speed: SpeedRecipe = field(default_factory=SpeedRecipe)
    output: OutputRecipe = field(default_factory=OutputRecipe)
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        result: dict[str, Any] = schema.plain(self)
        return result

    def hash(self) -> str:
        """Digest of what decides the result, wherever its files lie: see :meth:`portable`."""
        return hashlib.sha256(json.dumps(self.portable(), sort_keys=True).encode()).hexdigest()

    def portable(self) -> dict[str, Any]:
        """The sections that decide the weights, without a place on this machine.

        ``data.root`` is left out; ``model.init`` and an absolute ``data.annotations`` keep their
        name only.
        """
        sections = self.deciding()
        data, model = sections["data"], sections["model"]
        data.pop("root", None)
        if data.get("annotations") and Path(data["annotations"]).is_absolute():
            data["annotations"] = Path(data["annotations"]).name
        if model["init"]:
            model["init"] = Path(model["init"]).name
        return sections

    def deciding(self) -> dict[str, Any]:
        """The sections that decide the weights, as they were given."""
        keep = ("model", "input", "data", "augment", "optim", "seed")
        return {key: value for key, value in self.to_dict().items() if key in keep}


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file and apply ``key=value`` overrides.

    A file may begin with ``extends: OTHER.yaml``, relative to itself: it then holds only the keys
    that differ.

    Raises:
        InputError: the file is missing or not YAML, or a key or value is refused.
    """
    tree = _read_tree(path, ())
    for override in overrides:
        _apply(tree, override)
    try:
        return parse_recipe(tree, overrides)
    except InputError as error:
        raise InputError(f"Recipe {path}: {error}") from error


def parse_recipe(tree: Mapping[str, Any], overrides: Sequence[str] = ()) -> Recipe:
    """Build and check a recipe from plain values.

    Args:
        tree: the values.
        overrides: the ``key=value`` texts already in ``tree``, for what an error advises.
    """
    recipe = schema.read(Recipe, tree, "")
    _check_length(recipe.optim, overrides)
    _check(recipe)
    return recipe


def _read_tree(path: Path, children: tuple[Path, ...]) -> dict[str, Any]:
    """The plain values of a recipe file, on top of those of the file it extends."""
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"Recipe {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"Recipe {path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise InputError(f"Recipe {path} holds no sections; see models/demo.yaml for one.")
    parent = tree.pop("extends", None)
    if parent is None:
        return tree
    if not isinstance(parent, str):
        raise InputError(f"Recipe {path}: extends takes the name of one recipe, got {parent!r}.")
    if path.resolve() in children:
        raise InputError(f"Recipe {path} extends itself, through {children[-1]}.")
    return _merged(_read_tree(path.parent / parent, (*children, path.resolve())), tree)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Section by section, the values of ``above`` before those of ``below``."""
    result = {**below, **above}
    for key in below.keys() & above.keys():
        if isinstance(below[key], dict) and isinstance(above[key], dict):
            result[key] = _merged(below[key], above[key])
    return result


def _apply(tree: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    parts = key.strip().split(".")
    if not separator or not all(parts):
        raise InputError(f"--set {override}: expected section.key=value, such as optim.lr=0.001.")
    try:
        value = yaml.safe_load(text) if text else ""
    except yaml.YAMLError as error:
        raise InputError(f"--set {override}: the value is not YAML.") from error
    node = tree
    for part in parts[:-1]:
        child = node.setdefault(part, {})
        if not isinstance(child, dict):
            raise InputError(f"--set {override}: {part} is a value, not a section.")
        node = child
    node[parts[-1]] = value


def _check_length(optim: OptimRecipe, overrides: Sequence[str]) -> None:
    if not (optim.steps > 0 and optim.epochs > 0):
        return
    keys = {override.partition("=")[0].strip() for override in overrides}
    given = keys & {"optim.steps", "optim.epochs"}
    advice = "leave one of them out"
    if len(given) == 1:
        advice = f"add --set {'optim.epochs' if given == {'optim.steps'} else 'optim.steps'}=0"
    raise InputError(
        f"both optim.steps ({optim.steps}) and optim.epochs ({optim.epochs:g}) are set: {advice}."
    )


def _check(recipe: Recipe) -> None:
    for rules in (_sign_rules, _input_rules, _optim_rules, _data_rules):
        for holds, sentence in rules(recipe):
            if not holds:
                raise InputError(f"{sentence}.")


def _sign_rules(recipe: Recipe) -> list[tuple[bool, str]]:
    optim, evaluation, speed = recipe.optim, recipe.eval, recipe.speed
    values = {
        "seed": recipe.seed,
        "input.lead_s": recipe.input.lead_s,
        "optim.steps": optim.steps,
        "optim.epochs": optim.epochs,
        "optim.min_steps": optim.min_steps,
        "optim.warmup_steps": optim.warmup_steps,
        "optim.warmup_epochs": optim.warmup_epochs,
        "optim.weight_decay": optim.weight_decay,
        "optim.clip_norm": optim.clip_norm,
        "eval.every": evaluation.every,
        "eval.every_epochs": evaluation.every_epochs,
        "speed.workers": speed.workers,
        "speed.threads": speed.threads,
    }
    return [(value >= 0, f"{name} must not be negative") for name, value in values.items()]


def _input_rules(recipe: Recipe) -> list[tuple[bool, str]]:
    shape, model = recipe.input, recipe.model
    uniform = shape.sampling == "uniform"
    return [
        (shape.height > 0 and shape.width > 0, "input.height and input.width must be positive"),
        (shape.fps > 0, "input.fps must be positive"),
        (shape.frames > 0 and model.num_frames > 0, "frames must be positive"),
        (0 < shape.crop_ratio <= 1, "input.crop_ratio must lie in (0, 1]"),
        (min(shape.std) > 0, "input.std must be positive"),
        (not (uniform and model.causal), "a causal network needs input.sampling=rate"),
        (not (uniform and shape.lead_s), "input.lead_s needs input.sampling=rate"),
    ]


def _optim_rules(recipe: Recipe) -> list[tuple[bool, str]]:
    optim, evaluation, frames = recipe.optim, recipe.eval, recipe.input.frames
    warmups = bool(optim.warmup_steps) + bool(optim.warmup_epochs)
    return [
        (optim.lr > 0 and optim.batch_size > 0, "optim.lr and optim.batch_size must be positive"),
        ((optim.steps > 0) != (optim.epochs > 0), "give one of optim.steps and optim.epochs"),
        (warmups < 2, "give at most one of optim.warmup_steps and optim.warmup_epochs"),
        (
            not (evaluation.every and evaluation.every_epochs),
            "give at most one of eval.every and eval.every_epochs",
        ),
        (not (optim.min_steps and optim.steps), "optim.min_steps needs optim.epochs"),
        (0 <= optim.ema < 1, "optim.ema must lie in [0, 1)"),
        (0 < optim.layer_decay <= 1, "optim.layer_decay must lie in (0, 1]"),
        (0 <= optim.momentum < 1, "optim.momentum must lie in [0, 1)"),
        (0 <= optim.min_lr_ratio <= 1, "optim.min_lr_ratio must lie in [0, 1]"),
        (all(0 <= beta < 1 for beta in optim.betas), "optim.betas must lie in [0, 1)"),
        (optim.accumulate > 0, "optim.accumulate must be positive"),
        (optim.max_nonfinite > 0, "optim.max_nonfinite must be positive"),
        (0 <= optim.warmup_frames < frames, "optim.warmup_frames must be below input.frames"),
        (0 <= optim.label_smoothing < 1, "optim.label_smoothing must lie in [0, 1)"),
        (evaluation.crops in (1, 3), "eval.crops must be 1 or 3"),
        (evaluation.clips > 0, "eval.clips must be positive"),
        (evaluation.max_frames > 0, "eval.max_frames must be positive"),
        (
            not (recipe.speed.compile and recipe.speed.recompute),
            "speed.compile plans memory itself; give one of speed.compile and speed.recompute",
        ),
        (recipe.output.checkpoint_every > 0, "output.checkpoint_every must be positive"),
        (recipe.output.log_every > 0, "output.log_every must be positive"),
    ]


def _data_rules(recipe: Recipe) -> list[tuple[bool, str]]:
    data, augment = recipe.data, recipe.augment
    if isinstance(data, MotionData):
        by_epochs = recipe.optim.warmup_epochs or recipe.eval.every_epochs
        return [
            (recipe.optim.steps > 0 and not by_epochs, "rendered motion has no epochs; give steps"),
            (0 <= data.switch_share <= 1, "data.switch_share must lie in [0, 1]"),
            (0 <= data.plain_share <= 1, "data.plain_share must lie in [0, 1]"),
            (augment == AugmentRecipe(), "augment is for videos; rendered motion has none of it"),
        ]
    shares = (augment.flip or 0.0, augment.erase, augment.mix_share)
    ops, scale, aspect, speed = augment.randaugment, augment.scale, augment.aspect, augment.speed
    return [
        (bool(data.root), "data.root must name the folder of the videos"),
        (0 < data.eval_share < 1, "data.eval_share must lie in (0, 1)"),
        (0 <= data.max_failed_share < 1, "data.max_failed_share must lie in [0, 1)"),
        (data.cache_gb >= 0, "data.cache_gb must not be negative"),
        (0 < scale[0] <= scale[1] <= 1, "augment.scale must rise and lie in (0, 1]"),
        (0 < aspect[0] <= aspect[1], "augment.aspect must rise and be positive"),
        (0 < speed[0] <= speed[1], "augment.speed must rise and be positive"),
        (
            speed == (1.0, 1.0) or recipe.input.sampling == "rate",
            "augment.speed needs input.sampling=rate",
        ),
        (augment.color >= 0, "augment.color must not be negative"),
        (
            all(0 <= share <= 1 for share in shares),
            "augment.flip, augment.erase and augment.mix_share must lie in [0, 1]",
        ),
        (augment.mixup >= 0 and augment.cutmix >= 0, "augment.mixup and cutmix must be alphas"),
        (
            ops == () or (len(ops) == 2 and ops[0] > 0 and 0 <= ops[1] <= 30),
            "augment.randaugment takes two numbers: operations a clip, and magnitude (0 to 30)",
        ),
    ]
