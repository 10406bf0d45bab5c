"""Weights of image networks, read from files and inflated into image and video networks."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from effvit_edge.core.errors import EnvironmentFault, InputError
from effvit_edge.core.optional import require
from effvit_edge.nn.efficientvit.keys import ATTENTION_EPS, Layout, find_layout, our_names
from effvit_edge.nn.efficientvit.model import EfficientViT, EfficientViT3d
from effvit_edge.nn.efficientvit.presets import IMAGE_PREFIX, PRESETS
from effvit_edge.nn.registry import create_model

Inflation = Literal["centre", "last", "average"]

# Each part of the head feeds the next: where one does not fit, those after it mean nothing.
_HEAD_PARTS = (("head.in_conv.",), ("head.hidden.", "head.norm."), ("head.classifier.",))
_COUNTER = ".num_batches_tracked"
_TIMM = "timm:"


@dataclass(frozen=True)
class LoadReport:
    """What :func:`load_image_weights` did."""

    layout: Layout
    """Whose names the source uses."""
    eps: float | None
    """The attention's ``eps`` that belongs to the weights; None where only their card knows it."""
    model_eps: float
    """The network's own ``eps``, left as it was."""
    loaded: tuple[str, ...]
    """Tensors of the network that now hold the source's values."""
    skipped: Mapping[str, str]
    """Tensors of the source that were not used, each with the reason."""
    initial: Mapping[str, str]
    """Tensors of the network left at their initial values, each with the reason."""

    def __str__(self) -> str:
        lines = [f"{len(self.loaded)} tensors loaded ({self.layout} names)"]
        lines += [f"skipped {name}: {reason}" for name, reason in self.skipped.items()]
        lines += [f"initial {name}: {reason}" for name, reason in self.initial.items()]
        if self.eps not in (None, self.model_eps):
            lines.append(
                f"these weights are evaluated with eps={self.eps:g}, the network has "
                f"eps={self.model_eps:g}: create_model(..., eps={self.eps:g}) follows them exactly"
            )
        return "\n".join(lines)


def load_image_weights(
    model: EfficientViT,
    source: Mapping[str, Any] | str | Path,
    *,
    inflation: Inflation | None = None,
) -> LoadReport:
    """Load an image network's weights into an image network, or inflated into a video network.

    Where the network has temporal taps, one tap becomes the image kernel and the others zero (or
    each an equal share of it), so that a static clip gives the image network's logits at every
    frame. Nothing is loaded if anything outside the head does not fit; a head of other widths or
    classes keeps its initial values from the first part that does not fit.

    The attention's ``eps`` stays as the network was built, because it is part of what a model card
    records; the report tells which one the weights belong to.

    Args:
        model: the network, changed in place.
        source: tensors by name in the official, timm's or our own image layout; or a file of them
            (see :func:`read_weights`); or ``"timm:NAME"``, a timm model, pretrained.
        inflation: ``"centre"`` puts the image kernel on the centre tap (centred networks; their
            default), ``"last"`` on the current frame's (causal networks; their default),
            ``"average"`` shares it among all taps (centred networks with
            ``temporal_padding="replicate"``: zeros beyond the clip would dilute the average).

    Raises:
        InputError: the source cannot be read, or is of another network.
        EnvironmentFault: timm is absent, or its hub cannot be reached.
        ValueError: the inflation is not for this network, or the network is on the meta device.
    """
    if next(model.parameters()).is_meta:
        raise ValueError("the network is on the meta device and cannot hold weights")
    inflation = _choose_inflation(model, inflation)
    tensors, where = _open_source(source)
    layout = find_layout(tensors)
    if layout is None:
        raise InputError(
            f"{where} has neither official, timm nor effvit_edge names of an EfficientViT image "
            f"network; it starts with {', '.join(list(tensors)[:3]) or 'nothing'}."
        )
    theirs = {ours: name for name, ours in our_names(tensors, layout).items()}
    fit = _Fit(model, {ours: tensors[name] for ours, name in theirs.items()}, theirs)
    fit.check_backbone(where)
    left = fit.head_left()
    skipped = {theirs[name]: reason for name, reason in left.items() if name in theirs}
    initial = {name: reason for name, reason in left.items() if name in fit.own}
    for name in fit.own:
        if name not in theirs and name not in initial:
            initial[name] = "not in the source; counts training steps, no network reads it"
    loaded = tuple(name for name in fit.own if name not in initial)
    weights = {n: _inflate(fit.tensors[n], fit.own[n].shape, inflation) for n in loaded}
    model.load_state_dict(weights, strict=False)
    return LoadReport(
        layout, ATTENTION_EPS.get(layout), model.network_kwargs["eps"], loaded, skipped, initial
    )


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name from a ``.safetensors`` file, or a torch file that holds tensors and no code.

    ``{"state_dict": …}``, as the official files have it, is unwrapped.

    Raises:
        InputError: no such file, not such a file, or something other than tensors in it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no weights file {path}.")
    if path.suffix == ".safetensors":
        return _tensors(_read_safetensors(path), str(path))
    if path.suffix not in (".pt", ".pth", ".bin"):
        raise InputError(f"{path} is not a weights file: .pt, .pth, .bin or .safetensors.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise InputError(
            f"{path} cannot be read as plain tensors (torch.load with weights_only=True): it is "
            f"damaged, or it holds Python objects. Save its state_dict() alone."
        ) from error
    return _tensors(content, str(path))


def _read_safetensors(path: Path) -> Any:
    library = require("safetensors.torch", "train")
    errors = require("safetensors", "train").SafetensorError
    try:
        return library.load_file(path)
    except errors as error:
        raise InputError(f"{path} is not a whole safetensors file: {error}.") from error


def _open_source(source: Mapping[str, Any] | str | Path) -> tuple[dict[str, Tensor], str]:
    """The source's tensors, and what to call it in a message."""
    if isinstance(source, Mapping):
        return _tensors(source, "the state dict"), "The state dict"
    if isinstance(source, str) and source.startswith(_TIMM):
        return _read_timm(source[len(_TIMM) :]), source
    return read_weights(source), str(source)


def _tensors(content: Any, where: str) -> dict[str, Tensor]:
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise InputError(f"{where} holds a {type(content).__name__}, not tensors by name.")
    for name, value in content.items():
        if not isinstance(value, Tensor):
            raise InputError(f"{where} holds a {type(value).__name__} as {name!r}, not a tensor.")
    return dict(content)


def _read_timm(name: str) -> dict[str, Tensor]:
    instead = f"Or download the file yourself (huggingface.co/timm/{name}) and give its path."
    try:
        timm = require("timm", "dev")
    except (EnvironmentFault, RuntimeError) as error:  # the latter: torchvision of another build
        raise EnvironmentFault(
            f"timm:{name} needs timm and a torchvision that fits this torch: {error} {instead}"
        ) from error
    ours = "efficientvit_[bl]*"
    if name not in (*timm.list_models(ours), *timm.list_models(ours, pretrained=True)):
        known = ", ".join(timm.list_models(ours))
        raise InputError(f"timm has no EfficientViT called {name!r}; it has {known}.")
    try:
        network = timm.create_model(name, pretrained=True)
    except Exception as error:  # each version of the hub's client has errors of its own
        raise EnvironmentFault(
            f"timm:{name}: its weights could not be fetched from timm's hub: {error} {instead}"
        ) from error
    return _tensors(network.state_dict(), name)


class _Fit:
    """Tensors under our names held against a network's.

    Args:
        model: the network.
        tensors: by our names, in the image network's shapes.
        theirs: our names -> the source's, for messages.
    """

    def __init__(
        self, model: EfficientViT, tensors: Mapping[str, Tensor], theirs: Mapping[str, str]
    ) -> None:
        self.own = model.state_dict()
        self.tensors = tensors
        self._theirs = theirs

    def check_backbone(self, where: str) -> None:
        """Refuse what differs outside the head, with the variant that would fit."""
        wrong = [
            self._difference(name)
            for name in {**self.own, **self.tensors}
            if not name.startswith("head.") and not self._fits(name) and not self._optional(name)
        ]
        if not wrong:
            return
        if any(t.dim() == 5 for t in self.tensors.values()):
            raise InputError(
                f"{where} holds a video network's weights (with temporal taps), not an image "
                f"network's. Load them into the same network with load_state_dict."
            )
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise InputError(
            f"{where} is of another network: {'; '.join(wrong[:3])}{more}.{self._advice()}"
        )

    def head_left(self) -> dict[str, str]:
        """Head tensors, of the network or the source, that stay unused, each with the reason."""
        left: dict[str, str] = {}
        names = [n for n in {**self.own, **self.tensors} if n.startswith("head.")]
        blocked = ""
        for prefixes in _HEAD_PARTS:
            part = [name for name in names if name.startswith(prefixes)]
            wrong = [n for n in part if not self._fits(n) and not self._optional(n)]
            blocked = blocked or (wrong[0] if wrong else "")
            for name in part if blocked else ():
                after = f"goes with {blocked}, which does not fit"
                left[name] = self._difference(name) if name in wrong else after
        known = tuple(prefix for prefixes in _HEAD_PARTS for prefix in prefixes)
        for name in names:
            if not name.startswith(known):
                left[name] = "the network has no such layer"
        return left

    def _fits(self, name: str) -> bool:
        return name in self.own and (
            name in self.tensors and _image_shape(self.own[name]) == self.tensors[name].shape
        )

    def _optional(self, name: str) -> bool:
        return name.endswith(_COUNTER) and name in self.own and name not in self.tensors

    def _difference(self, name: str) -> str:
        """One sentence, under the name that the source has for it."""
        shown = self._theirs.get(name, name)
        if name not in self.own:
            return f"{shown} is in the source only"
        if name not in self.tensors:
            return f"{shown} is in the network only"
        got, need = tuple(self.tensors[name].shape), tuple(_image_shape(self.own[name]))
        return f"{shown} is {got} in the source and {need} in the network"

    def _advice(self) -> str:
        for variant in _fitting_variants(self.tensors):
            return f" It fits the variant {variant}."
        return ""


def _image_shape(tensor: Tensor) -> torch.Size:
    """The shape in the image network: without the axis of the temporal taps."""
    shape = tensor.shape
    return shape if len(shape) < 5 else torch.Size((*shape[:2], *shape[3:]))


def _fitting_variants(tensors: Mapping[str, Tensor]) -> Iterator[str]:
    """Variants whose image network has exactly these tensors outside the head."""
    shapes = _backbone_shapes(tensors)
    for variant in PRESETS:
        with torch.device("meta"):
            own = create_model(IMAGE_PREFIX + variant).state_dict()
        if _backbone_shapes(own) == shapes:
            yield variant


def _backbone_shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {
        name: tensor.shape
        for name, tensor in tensors.items()
        if not name.startswith("head.") and not name.endswith(_COUNTER)
    }


def _inflate(image: Tensor, shape: torch.Size, inflation: Inflation) -> Tensor:
    """An image network's tensor in a video network's shape ``(O, I, kernel_frames, kh, kw)``."""
    if image.shape == shape:
        return image
    kernel_frames = shape[2]
    if inflation == "average":
        return (image / kernel_frames).unsqueeze(2).expand(shape)
    taps = torch.zeros(shape, dtype=image.dtype)
    taps[:, :, kernel_frames - 1 if inflation == "last" else kernel_frames // 2] = image
    return taps


def _choose_inflation(model: EfficientViT, asked: Inflation | None) -> Inflation:
    default: Inflation = "last" if model.causal else "centre"
    if asked is None or asked == default:
        return default
    if asked != "average" or not isinstance(model, EfficientViT3d) or model.causal:
        kind = "causal" if model.causal else "centred" if model.is_video else "image"
        raise ValueError(f"a {kind} network takes inflation={default!r}, got {asked!r}")
    if model.temporal_padding != "replicate":
        raise ValueError(
            "inflation='average' gives the image network's answers only where the network is built "
            "with temporal_padding='replicate'"
        )
    return asked
