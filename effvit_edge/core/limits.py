"""How far answers may be from those in float32: one table, for graphs and for engines."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from effvit_edge.core.card import ModelCard, Precision
from effvit_edge.core.comparison import Comparison
from effvit_edge.core.strict_json import JSON

FP32_LIMIT = 1e-4
"""Largest absolute difference of a logit between torch and ONNX Runtime, both in float32."""


@dataclass(frozen=True)
class Limits:
    """What a gate lets through."""

    relative: float
    """Largest difference of a logit, as a part of the parent's largest logit."""
    cosine: float
    """Least cosine between an answer and the parent's."""
    agreement: float
    """Least share of answers with the parent's label; not asked of random weights."""
    drop: float
    """Largest loss of accuracy on labelled data, as a share of all sequences."""
    growth: float = 1.25
    """Largest ratio of a stream's mean difference at the end to that after the first loop."""

    def faults(self, found: Comparison, relative: float, card: ModelCard) -> list[str]:
        """What is beyond the limits, as parts of a sentence; what is no number always is.

        Args:
            found: the answers against the parent's.
            relative: its largest difference, as a part of the parent's largest logit.
            card: of the model.
        """
        faults = []
        if not relative <= self.relative:
            faults.append(f"up to {relative:.2%} of the largest logit (limit {self.relative:.2%})")
        if not found.cosine >= self.cosine:
            faults.append(f"cosine {found.cosine:.5f} (limit {self.cosine})")
        random = card.provenance.get("weights") == "random"
        if not random and not found.top1_agreement >= self.agreement:
            faults.append(
                f"same label for {found.top1_agreement:.1%} of {found.answers} answers (limit "
                f"{self.agreement:.1%})"
            )
        return faults


LIMITS: Mapping[Precision, Limits] = {
    # GPUs since Ampere round float32 products to TF32, ten bits: 1e-3 a product.
    "fp32": Limits(relative=0.01, cosine=0.9999, agreement=0.99, drop=0.01),
    "fp16": Limits(relative=0.03, cosine=0.999, agreement=0.98, drop=0.01),
    "int8": Limits(relative=0.25, cosine=0.95, agreement=0.97, drop=0.03),
}
"""Of answers in a precision, whatever computes them, against those in float32."""
_PLACE = "limits"  # in a card's provenance
_KEPT = ("relative", "cosine")


def graph_limits(precision: Precision, given: Mapping[str, float | None]) -> Limits:
    """Of a graph of less precision.

    Args:
        precision: of the graph.
        given: limits to change, by name; None leaves one as it is.
    """
    return dataclasses.replace(LIMITS[precision], **_set(given))


def engine_limits(card: ModelCard, given: Mapping[str, float | None] | None = None) -> Limits:
    """Of an engine, and of any file that is tested before it runs.

    It is shown a few dozen frames, of which one is more than the share that may be labelled
    otherwise, so labels are counted only where a limit is given.

    Args:
        card: of the file. Limits that it was let through with count where they are the wider ones:
            a device that rounds otherwise should not refuse what kept narrower ones elsewhere.
        given: limits to change, see `graph_limits`.
    """
    own, kept = LIMITS[card.precision], _kept(card)
    widest = {
        "relative": max(own.relative, kept.get("relative", own.relative)),
        "cosine": min(own.cosine, kept.get("cosine", own.cosine)),
    }
    return dataclasses.replace(own, **{"agreement": 0.0, **widest, **_set(given or {})})


def with_limits(card: ModelCard, limits: Limits) -> ModelCard:
    """The card of a file that was held to limits: it names those that are not the table's.

    Only those that `engine_limits` looks for; they are in the file itself, wherever it is copied.
    """
    table = LIMITS[card.precision]
    changed: dict[str, JSON] = {
        name: getattr(limits, name)
        for name in _KEPT
        if getattr(limits, name) != getattr(table, name)
    }
    others = {name: value for name, value in card.provenance.items() if name != _PLACE}
    return dataclasses.replace(card, provenance={**others, _PLACE: changed} if changed else others)


def _kept(card: ModelCard) -> dict[str, float]:
    """What `with_limits` wrote; nothing of a card that has something else there."""
    found = card.provenance.get(_PLACE)
    if not isinstance(found, Mapping):
        return {}
    numbers = {name: found.get(name) for name in _KEPT}
    return {
        name: float(value)
        for name, value in numbers.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _set(given: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in given.items() if value is not None}
