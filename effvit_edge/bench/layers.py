"""Where a model's time goes, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

from effvit_edge.bench.work import LabelWork, rendered_pictures
from effvit_edge.runtime import Session
from effvit_edge.runtime.tuning import LayerTime

_ANSWERS = 60


def profile_layers(session: Session) -> tuple[LayerTime, ...]:
    """Time the layers of a session over a few answers.

    Args:
        session: opened with ``Tuning(profiled=True)``; of no further use after it.

    Returns:
        In the order in which they run; none where the session's library does not tell.

    Raises:
        EdgeError: running failed.
    """
    spec = session.card.preprocess
    work = LabelWork(session, rendered_pictures(spec.height, spec.width), prepared=True)
    for _ in range(_ANSWERS):
        work()
    return tuple(session.telemetry.layers())


def by_kind(layers: Sequence[LayerTime]) -> dict[str, float]:
    """Milliseconds of all layers of a kind together, the largest first."""
    found: dict[str, float] = {}
    for layer in layers:
        found[layer.kind] = found.get(layer.kind, 0.0) + layer.milliseconds
    return dict(sorted(found.items(), key=lambda item: -item[1]))
