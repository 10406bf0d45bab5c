"""From a recipe to the things a run works with: network, card, datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from effvit_edge import __version__, nn
from effvit_edge.core.card import LabelGroup, ModelCard
from effvit_edge.core.errors import EnvironmentFault, InputError
from effvit_edge.data.listing import open_split
from effvit_edge.data.motion import MotionClips, MotionSequences
from effvit_edge.data.types import EvaluationSequences, TrainingClips
from effvit_edge.data.videos import Augmentation, VideoClips, VideoSequences
from effvit_edge.train.checkpoint import find_checkpoint, load_card, load_weights
from effvit_edge.train.recipe import MotionData, Recipe, VideosData


def build_data(recipe: Recipe) -> tuple[TrainingClips, EvaluationSequences]:
    """The training clips and the evaluation sequences of a recipe."""
    if isinstance(recipe.data, MotionData):
        return _motion(recipe, recipe.data)
    return _videos(recipe, recipe.data)


def build_model(recipe: Recipe, num_classes: int) -> nn.EfficientViT:
    """The network of a recipe with its starting weights, on the CPU.

    Raises:
        InputError: a keyword the network does not know, or starting weights that do not fit.
    """
    torch.manual_seed(recipe.seed)
    section = recipe.model
    keywords: dict[str, Any] = {"num_classes": num_classes, **section.options}
    if "3d" in section.preset:
        keywords |= {"num_frames": section.num_frames, "causal": section.causal}
    try:
        model = nn.create_model(section.preset, **keywords)
    except (TypeError, ValueError) as error:
        raise InputError(f"model: {section.preset} cannot be built: {error}") from error
    _check_clip_length(recipe, model)
    if section.init:
        _start_from(model, section.init)
    else:
        nn.start_from_scratch(model)
    return model


def build_card(recipe: Recipe, model: nn.EfficientViT, labels: tuple[str, ...]) -> ModelCard:
    """The card of the network being trained."""
    video = isinstance(model, nn.EfficientViT3d)
    return ModelCard(
        family="efficientvit3d" if video else "efficientvit",
        variant=recipe.model.preset,
        mode="clip" if _is_centred(model) else "stream",
        num_frames=recipe.model.num_frames if video else 1,
        fps=recipe.input.fps,
        preprocess=recipe.input.preprocess(),
        label_groups=(LabelGroup("label", labels),),
        network=model.network_kwargs,
        precision="fp32",
        parent_sha256=None,
        provenance={"recipe": recipe.to_dict(), "recipe_hash": recipe.hash(), "made_by": _maker()},
    )


def choose_device(name: str) -> torch.device:
    """The device of a recipe; ``auto`` is CUDA where there is one.

    Raises:
        EnvironmentFault: the device is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise EnvironmentFault(f"speed.device: {name} cannot be used here: {error}") from error
    return device


def _maker() -> dict[str, str]:
    return {"effvit_edge": __version__, "torch": torch.__version__}


def _motion(recipe: Recipe, data: MotionData) -> tuple[TrainingClips, EvaluationSequences]:
    size = recipe.input.height
    if recipe.input.width != size:
        raise InputError("input: rendered motion is square; give the same height and width.")
    clips = MotionClips(
        size=size,
        frames=recipe.input.frames,
        textures=data.textures,
        seed=recipe.seed,
        switch_share=data.switch_share,
        switch_ignore=data.switch_ignore,
        plain_share=data.plain_share,
        plain_first=data.plain_first,
    )
    sequences = MotionSequences(
        size=size,
        frames=data.eval_frames,
        count=data.eval_sequences,
        textures=min(data.textures, data.eval_sequences),
        seed=recipe.seed,
    )
    return clips, sequences


def _videos(recipe: Recipe, data: VideosData) -> tuple[TrainingClips, EvaluationSequences]:
    train, evaluation = open_split(
        Path(data.root),
        data.csv,
        train_filters=data.train,
        eval_filters=data.eval,
        eval_share=data.eval_share,
        seed=recipe.seed,
    )
    spec, cache_bytes = recipe.input.preprocess(), int(data.cache_gb * 1e9)
    clips = VideoClips(
        train,
        spec,
        fps=recipe.input.fps,
        frames=recipe.input.frames,
        seed=recipe.seed,
        augmentation=Augmentation(data.scale, data.aspect, data.flip, data.color, data.speed),
        cache_bytes=cache_bytes,
    )
    sequences = VideoSequences(evaluation, spec, fps=recipe.input.fps, cache_bytes=cache_bytes)
    return clips, sequences


def _is_centred(model: nn.EfficientViT) -> bool:
    return isinstance(model, nn.EfficientViT3d) and not model.causal


def _check_clip_length(recipe: Recipe, model: nn.EfficientViT) -> None:
    if _is_centred(model) and recipe.input.frames != recipe.model.num_frames:
        raise InputError(
            f"input.frames is {recipe.input.frames}, but a centred network is trained on clips "
            f"of model.num_frames, {recipe.model.num_frames}. Make them equal."
        )


def _start_from(model: nn.EfficientViT, source: str) -> None:
    """Take starting weights from a checkpoint folder, a weights file, or ``timm:NAME``."""
    if not Path(source).is_dir():
        nn.load_image_weights(model, source)
        return
    folder = find_checkpoint(Path(source))
    card = load_card(folder)
    weights = load_weights(folder, card)
    if isinstance(model, nn.EfficientViT3d) and card.family == "efficientvit":
        nn.load_image_weights(model, weights)
    else:
        _take_matching(model, weights, folder)


def _take_matching(model: nn.EfficientViT, weights: dict[str, Tensor], source: Path) -> None:
    """Take every tensor that fits; a head for other classes keeps its random start."""
    own = model.state_dict()
    fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    missing = [name for name in own if name not in fitting]
    classifier = [name for name in own if name.startswith("head.")]
    outside = [name for name in missing if name not in classifier]
    if outside:
        raise InputError(
            f"model.init: {source} is of another network: {outside[0]} and {len(outside) - 1} "
            f"other tensors outside the head are missing or of another shape."
        )
    model.load_state_dict(fitting, strict=False)
