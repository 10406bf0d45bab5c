"""Presets with random weights and a card, for measuring what a network costs."""

from __future__ import annotations

import torch

from effvit_edge import __version__
from effvit_edge.core.card import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    LabelGroup,
    Mode,
    ModelCard,
    Preprocess,
)
from effvit_edge.core.errors import InputError
from effvit_edge.nn import EfficientViT, EfficientViT3d, create_model
from effvit_edge.nn.layers import BatchNorm

_SEED = 0
_FPS = 15.0
_STATISTICS_FRAMES, _STATISTICS_SIZE = 4, 64


def random_preset(
    name: str,
    mode: Mode,
    *,
    num_classes: int | None = None,
    num_frames: int | None = None,
    input_size: int = 224,
    temporal_kernels: tuple[int, int, int, int, int] | None = None,
) -> tuple[EfficientViT, ModelCard]:
    """A preset with seeded random weights, and a card that says so.

    Args:
        name: one of ``nn.list_models()``.
        mode: ``stream`` builds a causal network, ``clip`` a centred one.
        num_classes: width of the logits; the preset's own by default.
        num_frames: clip length or window; the preset's own by default, not for image presets.
        input_size: side of the square input, pixels.
        temporal_kernels: per (stem, stage 1, …, stage 4); the preset's own by default.

    Raises:
        InputError: a value that does not fit the preset.
    """
    kwargs: dict[str, object] = {
        "num_classes": num_classes,
        "num_frames": num_frames,
        "temporal_kernels": temporal_kernels,
    }
    if name.startswith("efficientvit3d_"):
        kwargs["causal"] = mode == "stream"
    elif mode == "clip":
        raise InputError(f"{name} labels single images: export it with --mode stream.")
    elif num_frames is not None:
        raise InputError(f"{name} labels single images: leave out --num-frames.")
    given = {key: value for key, value in kwargs.items() if value is not None}
    try:
        with torch.random.fork_rng():
            torch.manual_seed(_SEED)
            model = create_model(name, **given).eval()
            settle_statistics(model)
    except ValueError as error:
        raise InputError(f"{name} cannot be built: {error}.") from error
    return model, _card(model, mode, input_size)


def settle_statistics(model: EfficientViT) -> None:
    """Give every BatchNorm the statistics of one seeded batch, as training would leave them.

    With those of a new network the signal dies out over the depth, the logits hardly depend on the
    picture, and comparing two artifacts would say nothing.
    """
    norms = [module for module in model.modules() if isinstance(module, BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    frames = (_STATISTICS_FRAMES,) if model.is_video else ()
    generator = torch.Generator().manual_seed(_SEED)
    batch = torch.randn(4, 3, *frames, _STATISTICS_SIZE, _STATISTICS_SIZE, generator=generator)
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()


def _card(model: EfficientViT, mode: Mode, size: int) -> ModelCard:
    classes = range(model.head.classifier.out_features)
    video = isinstance(model, EfficientViT3d)
    return ModelCard(
        family="efficientvit3d" if video else "efficientvit",
        variant=model.preset_name,
        mode=mode,
        num_frames=model.num_frames if isinstance(model, EfficientViT3d) else 1,
        fps=_FPS,
        preprocess=Preprocess(size, size, "short_side", 1.0, IMAGENET_MEAN, IMAGENET_STD),
        label_groups=(LabelGroup("label", tuple(f"class_{i}" for i in classes)),),
        network=model.network_kwargs,
        precision="fp32",
        parent_sha256=None,
        provenance={
            "weights": "random",
            "seed": _SEED,
            "made_by": {"effvit_edge": __version__, "torch": torch.__version__},
        },
    )
