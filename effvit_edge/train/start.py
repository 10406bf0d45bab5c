"""Starting weights of a run: from a checkpoint, a weights file or timm, and what was taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from effvit_edge import nn
from effvit_edge.core.errors import InputError
from effvit_edge.train.checkpoint import find_checkpoint, load_card, load_weights

_COUNTER = ".num_batches_tracked"
_NAMED = 3


@dataclass(frozen=True)
class StartReport:
    """What a network took from elsewhere."""

    source: str
    """Its name, without the folders it lies in."""
    loaded: int
    """Tensors that hold the source's values."""
    initial: Mapping[str, str]
    """Tensors that kept their random start, each with the reason."""
    skipped: Mapping[str, str]
    """Tensors of the source that were not used, each with the reason."""
    eps: float | None
    """The attention's ``eps`` that belongs to the weights; None where it is not known."""
    model_eps: float
    """The network's own."""

    def summary(self) -> dict[str, Any]:
        """JSON values, for the card's provenance."""
        return {
            "source": self.source,
            "loaded": self.loaded,
            "initial": list(self.initial),
            "skipped": list(self.skipped),
            "eps": self.eps,
        }

    def sentence(self) -> str:
        """What was taken, what was not, and whether ``eps`` differs."""
        text = f"Started from {self.source}: {self.loaded} tensors taken."
        if self.initial:
            text += f" Random start: {_some(self.initial)}."
        unused = {name: why for name, why in self.skipped.items() if name not in self.initial}
        if unused:
            text += f" Not used: {_some(unused)}."
        if self.eps not in (None, self.model_eps):
            text += (
                f" The weights belong to eps={self.eps:g}, the network has "
                f"eps={self.model_eps:g}; model.options={{eps: {self.eps:g}}} follows them exactly."
            )
        return text


def start_from(model: nn.EfficientViT, source: str) -> StartReport:
    """Take starting weights from a checkpoint folder, a weights file, or ``timm:NAME``.

    Raises:
        InputError: the source cannot be read, or is of another network.
    """
    name = Path(source).name
    if not Path(source).is_dir():
        return _from_image(name, nn.load_image_weights(model, source), None)
    folder = find_checkpoint(Path(source))
    card = load_card(folder)
    weights = load_weights(folder, card)
    eps = card.network.get("eps")
    card_eps = float(eps) if isinstance(eps, (int, float)) else None
    if isinstance(model, nn.EfficientViT3d) and card.family == "efficientvit":
        return _from_image(name, nn.load_image_weights(model, weights), card_eps)
    return _take_matching(model, weights, folder, name, card_eps)


def _from_image(source: str, report: nn.LoadReport, card_eps: float | None) -> StartReport:
    initial = {n: why for n, why in report.initial.items() if not n.endswith(_COUNTER)}
    eps = report.eps if report.eps is not None else card_eps
    return StartReport(
        source, len(report.loaded), initial, dict(report.skipped), eps, report.model_eps
    )


def _take_matching(
    model: nn.EfficientViT,
    weights: Mapping[str, Tensor],
    folder: Path,
    source: str,
    eps: float | None,
) -> StartReport:
    """Take every tensor that fits; a head for other classes keeps its random start."""
    own = model.state_dict()
    fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    missing = [name for name in own if name not in fitting]
    outside = [name for name in missing if not name.startswith("head.")]
    if outside:
        raise InputError(
            f"model.init: {folder} is of another network: {outside[0]} and {len(outside) - 1} "
            f"other tensors outside the head are missing or of another shape."
        )
    model.load_state_dict(fitting, strict=False)
    initial = {name: _difference(own[name], weights.get(name)) for name in missing}
    skipped = {
        name: _difference(own.get(name), value)
        for name, value in weights.items()
        if name not in fitting
    }
    return StartReport(source, len(fitting), initial, skipped, eps, model.network_kwargs["eps"])


def _difference(own: Tensor | None, theirs: Tensor | None) -> str:
    if theirs is None:
        return "not in the source"
    if own is None:
        return "in the source only"
    return f"{tuple(theirs.shape)} in the source and {tuple(own.shape)} in the network"


def _some(reasons: Mapping[str, str]) -> str:
    shown = [f"{name} ({why})" for name, why in list(reasons.items())[:_NAMED]]
    more = f" and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else ""
    return ", ".join(shown) + more
