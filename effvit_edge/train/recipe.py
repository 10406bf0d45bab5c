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
from typing import Any, Literal

import yaml

from effvit_edge.core.card import IMAGENET_MEAN, IMAGENET_STD, Preprocess
from effvit_edge.core.errors import InputError
from effvit_edge.train import schema


@dataclass(frozen=True)
class ModelRecipe:
    """Which network, and where its weights start."""

    preset: str
    """Name from ``effvit-edge models``."""
    num_frames: int = 8
    """Attention window (causal) or clip length (centred), in frames. Image presets ignore it."""
    causal: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further keywords of ``nn.create_model``, as they are named there."""
    init: str | None = None
    """Start from a checkpoint folder, an image weights file (.pt, .safetensors) or ``timm:NAME``.
    An image network's weights are inflated; a head for other classes keeps its random start."""


@dataclass(frozen=True)
class InputRecipe:
    """What the network sees; becomes the card's preprocessing."""

    height: int
    width: int
    fps: float
    frames: int
    """Frames in a training clip. Causal networks need at least three windows to learn the steady
    state; centred ones take exactly ``model.num_frames``."""
    resize: Literal["short_side", "squash", "letterbox"] = "short_side"
    crop_ratio: float = 1.0
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def preprocess(self) -> Preprocess:
        """The card's preprocessing section."""
        return Preprocess(
            self.height, self.width, self.resize, self.crop_ratio, self.mean, self.std
        )


@dataclass(frozen=True)
class MotionData:
    """Procedural motion, rendered while training."""

    kind: Literal["motion"] = "motion"
    textures: int = 200
    """Textures drawn for the bank."""
    switch_share: float = 0.3
    """Share of clips whose motion changes once, somewhere in the middle half."""
    switch_ignore: int = 4
    """Frames after a change without a label: what is seen does not say it yet."""
    plain_share: float = 0.0
    """Share of clips that show the whole scene moving, without blur, noise or compression."""
    plain_first: int = 0
    """Clips over which the share falls from 1 to ``plain_share``: the hard ones alone do not start
    the learning."""
    eval_sequences: int = 180
    eval_frames: int = 88
    """Long enough to compare the first full window with ten windows in."""


@dataclass(frozen=True)
class VideosData:
    """Real videos: a folder of classes, or a CSV with the columns ``path`` and ``label``."""

    kind: Literal["videos"] = "videos"
    root: str = ""
    """Folder of classes, or the folder that the CSV's paths start from."""
    csv: str | None = None
    """CSV file, relative to ``root``. Without it every subfolder of ``root`` is a class."""
    train: tuple[str, ...] = ()
    """Filters a training row must pass, such as ``split=train`` or ``fold!=0``."""
    eval: tuple[str, ...] = ()
    """Filters of evaluation rows. With neither filter, ``eval_share`` of each class is held out."""
    eval_share: float = 0.2
    cache_gb: float = 2.0
    """Decode once into memory up to this size, training videos first, evaluation videos into what
    they leave; beyond it every clip is decoded when used."""
    scale: tuple[float, float] = (0.4, 1.0)
    """Area of the random crop, as a share of the frame."""
    aspect: tuple[float, float] = (0.75, 1.333)
    """Shape of the random crop, width over height: relative to the input's for ``short_side``, to
    the whole frame's for ``squash`` and ``letterbox``."""
    flip: float = 0.5
    """Probability of mirroring. 0 where direction is the label."""
    color: float = 0.3
    """Strength of brightness, contrast and saturation change, one draw a clip."""
    speed: tuple[float, float] = (1.0, 1.0)
    """Range of the playback speed, one draw a clip."""


@dataclass(frozen=True)
class OptimRecipe:
    """AdamW under a cosine with linear warm-up."""

    lr: float
    batch_size: int
    steps: int = 0
    epochs: float = 0.0
    """Exactly one of ``steps`` and ``epochs`` is given; rendered data has no epochs."""
    warmup_steps: int = 0
    min_lr_ratio: float = 0.01
    weight_decay: float = 0.05
    """Not applied to norms and biases."""
    betas: tuple[float, float] = (0.9, 0.999)
    clip_norm: float = 1.0
    label_smoothing: float = 0.0
    warmup_frames: int = 0
    """First frames of a clip that causal networks are not asked about."""
    ema: float = 0.0
    """Decay of the averaged weights; 0 keeps none."""
    max_nonfinite: int = 20
    """Stop after so many steps in a row without a finite loss and gradient."""


@dataclass(frozen=True)
class SpeedRecipe:
    """How the arithmetic runs; nothing here changes what is learnt beyond rounding."""

    device: str = "auto"
    workers: int = 1
    threads: int = 0
    """Threads of the arithmetic on a CPU; 0 leaves torch's choice."""
    autocast: Literal["none", "bf16"] = "none"
    compile: bool = False


@dataclass(frozen=True)
class EvalRecipe:
    """When and how to evaluate."""

    every: int = 0
    """Steps between evaluations; 0 evaluates at the end only."""
    max_frames: int = 512
    """Longest stretch of a video that a causal network sees at once."""
    clips: int = 4
    """Clips a video for a centred network."""
    keep_best: bool = False
    """Also keep the checkpoint with the best top-1. Only honest with a validation set that is not
    the one reported."""


@dataclass(frozen=True)
class OutputRecipe:
    """Where results go."""

    folder: str = "runs/default"
    checkpoint_every: int = 500
    log_every: int = 20


@dataclass(frozen=True)
class Recipe:
    """Everything a run is made from."""

    model: ModelRecipe
    input: InputRecipe
    data: MotionData | VideosData
    optim: OptimRecipe
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

        ``data.root`` is left out; ``model.init`` and an absolute ``data.csv`` keep their name only.
        """
        sections = self.deciding()
        data, model = sections["data"], sections["model"]
        data.pop("root", None)
        if data.get("csv") and Path(data["csv"]).is_absolute():
            data["csv"] = Path(data["csv"]).name
        if model["init"]:
            model["init"] = Path(model["init"]).name
        return sections

    def deciding(self) -> dict[str, Any]:
        """The sections that decide the weights, as they were given."""
        keep = ("model", "input", "data", "optim", "seed")
        return {key: value for key, value in self.to_dict().items() if key in keep}


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file and apply ``key=value`` overrides.

    Raises:
        InputError: the file is missing or not YAML, or a key or value is refused.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"Recipe {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"Recipe {path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise InputError(f"Recipe {path} holds no sections; see models/demo.yaml for one.")
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
    optim, shape, model = recipe.optim, recipe.input, recipe.model
    rules: list[tuple[bool, str]] = [
        (shape.height > 0 and shape.width > 0, "input.height and input.width must be positive"),
        (shape.fps > 0, "input.fps must be positive"),
        (shape.frames > 0 and model.num_frames > 0, "frames must be positive"),
        (0 < shape.crop_ratio <= 1, "input.crop_ratio must lie in (0, 1]"),
        (optim.lr > 0 and optim.batch_size > 0, "optim.lr and optim.batch_size must be positive"),
        ((optim.steps > 0) != (optim.epochs > 0), "give one of optim.steps and optim.epochs"),
        (0 <= optim.ema < 1, "optim.ema must lie in [0, 1)"),
        (optim.max_nonfinite > 0, "optim.max_nonfinite must be positive"),
        (0 <= optim.warmup_frames < shape.frames, "optim.warmup_frames must be below input.frames"),
        (0 <= optim.label_smoothing < 1, "optim.label_smoothing must lie in [0, 1)"),
        (recipe.speed.workers >= 0, "speed.workers must not be negative"),
        (recipe.output.checkpoint_every > 0, "output.checkpoint_every must be positive"),
        (recipe.output.log_every > 0, "output.log_every must be positive"),
    ]
    if isinstance(recipe.data, MotionData):
        rules += [
            (optim.steps > 0, "rendered motion has no epochs; give optim.steps"),
            (0 <= recipe.data.switch_share <= 1, "data.switch_share must lie in [0, 1]"),
            (0 <= recipe.data.plain_share <= 1, "data.plain_share must lie in [0, 1]"),
        ]
    else:
        rules += [
            (bool(recipe.data.root), "data.root must name the folder of the videos"),
            (0 < recipe.data.eval_share < 1, "data.eval_share must lie in (0, 1)"),
            (recipe.data.speed[0] > 0, "data.speed must be positive"),
        ]
    for holds, sentence in rules:
        if not holds:
            raise InputError(f"{sentence}.")
