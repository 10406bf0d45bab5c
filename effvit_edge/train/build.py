"""From a recipe to the things a run works with: network, card, device."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import torch

from effvit_edge import __version__, nn
from effvit_edge.core.card import LabelGroup, ModelCard
from effvit_edge.core.errors import EnvironmentFault, InputError
from effvit_edge.core.schema import unknown_key
from effvit_edge.train.recipe import Recipe
from effvit_edge.train.start import StartReport, start_from


def check_model(recipe: Recipe) -> None:
    """Find out whether the network can be built, before anything costly such as decoding videos.

    Raises:
        InputError: an unknown preset or keyword, or a value that does not fit.
    """
    section = recipe.model
    names = nn.list_models()
    if section.preset not in names:
        near = difflib.get_close_matches(section.preset, names, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise InputError(
            f"model.preset: there is no {section.preset}.{hint} All names: effvit-edge models."
        )
    with torch.device("meta"):
        known = nn.create_model(section.preset).network_kwargs
        for key in section.options:
            if key not in known:
                raise InputError(unknown_key(f"model.options.{key}", key, known))
        _check_clip_length(recipe, _create(recipe, num_classes=2))


def build_model(
    recipe: Recipe, num_classes: int, *, take_start: bool = True
) -> tuple[nn.EfficientViT, StartReport | None]:
    """The network of a recipe with its starting weights, on the CPU.

    Args:
        recipe: what to build.
        num_classes: of all label groups together.
        take_start: look for ``model.init``; not needed by a run that goes on.

    Returns:
        The network, and what it took from ``model.init``; None where it starts from scratch.

    Raises:
        InputError: the network cannot be built, or starting weights do not fit.
    """
    torch.manual_seed(recipe.seed)
    model = _create(recipe, num_classes)
    if recipe.model.init and take_start:
        return model, start_from(model, recipe.model.init)
    nn.start_from_scratch(model)
    return model, None


def build_card(
    recipe: Recipe,
    model: nn.EfficientViT,
    groups: tuple[LabelGroup, ...],
    start: Mapping[str, Any] | None = None,
) -> ModelCard:
    """The card of the network being trained; it names no place on this machine.

    Args:
        recipe: of the run.
        model: as the run trains it.
        groups: what it answers.
        start: what it took from ``model.init``, as :meth:`StartReport.summary` tells it.
    """
    video = isinstance(model, nn.EfficientViT3d)
    provenance = {
        "recipe": recipe.portable(),
        "recipe_hash": recipe.hash(),
        "made_by": _maker(),
        "start": start,
    }
    return ModelCard(
        family="efficientvit3d" if video else "efficientvit",
        variant=recipe.model.preset,
        mode="clip" if _is_centred(model) else "stream",
        num_frames=recipe.model.num_frames if video else 1,
        fps=recipe.input.fps,
        preprocess=recipe.input.preprocess(),
        label_groups=groups,
        network=model.network_kwargs,
        precision="fp32",
        parent_sha256=None,
        provenance=provenance,
    )


def choose_device(name: str, local_rank: int = 0, *, option: str = "speed.device") -> torch.device:
    """The device of a name; ``auto`` is CUDA where there is one.

    Args:
        name: ``auto``, or torch's name of a device.
        local_rank: which of the machine's GPUs ``auto`` and ``cuda`` mean.
        option: where the name was given, for the error.

    Raises:
        EnvironmentFault: the device is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{local_rank}"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise EnvironmentFault(f"{option}: {name} cannot be used here: {error}") from error
    return device


def _create(recipe: Recipe, num_classes: int) -> nn.EfficientViT:
    section = recipe.model
    keywords: dict[str, Any] = {"num_classes": num_classes, **section.options}
    if "3d" in section.preset:
        keywords |= {"num_frames": section.num_frames, "causal": section.causal}
    try:
        return nn.create_model(section.preset, **keywords)
    except (TypeError, ValueError) as error:
        raise InputError(f"model: {section.preset} cannot be built: {error}.") from error


def _maker() -> dict[str, str]:
    return {"effvit_edge": __version__, "torch": torch.__version__}


def _is_centred(model: nn.EfficientViT) -> bool:
    return isinstance(model, nn.EfficientViT3d) and not model.causal


def _check_clip_length(recipe: Recipe, model: nn.EfficientViT) -> None:
    if _is_centred(model) and recipe.input.frames != recipe.model.num_frames:
        raise InputError(
            f"input.frames is {recipe.input.frames}, but a centred network is trained on clips "
            f"of model.num_frames, {recipe.model.num_frames}. Make them equal."
        )
