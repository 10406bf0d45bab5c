"""Times of layers, answer by answer, and what they come to."""

from __future__ import annotations

import re
import statistics

from effvit_edge.runtime.tuning import LayerTime

_NUMBER = re.compile(r"(_\d+)+$")


class LayerTimes:
    """Collects the times of layers in the order in which they first ran."""

    def __init__(self) -> None:
        self._times: dict[str, list[float]] = {}
        self._kinds: dict[str, str] = {}

    def add(self, name: str, milliseconds: float, kind: str = "") -> None:
        """Note one layer's time of one answer.

        Args:
            name: of the layer.
            milliseconds: it took.
            kind: its operators; by default what its name tells of them.
        """
        self._times.setdefault(name, []).append(milliseconds)
        self._kinds.setdefault(name, kind or kind_of(name))

    def medians(self) -> tuple[LayerTime, ...]:
        """Every layer at its median: the first answers, which are slow, do not count for it."""
        return tuple(
            LayerTime(name, self._kinds[name], statistics.median(times))
            for name, times in self._times.items()
        )


def kind_of(name: str) -> str:
    """The operators in a layer's name, as TensorRT makes it of the nodes it has fused.

    ``/a/Conv + PWN(/a/Sigmoid_2, /a/Mul)`` is ``Conv + Sigmoid + Mul``; where it compiles a whole
    part of the graph, the name holds only the part's ends.
    """
    if "ForeignNode" in name or "myl" in name.lower():
        return "compiled part"
    if name.startswith("Reformatting"):
        return "Reformat"
    found: list[str] = []
    for part in re.split(r"\s*(?:\+|\|\|)\s*|,\s*|[()\[\]{}]", name):
        operator = _NUMBER.sub("", part.rsplit("/", 1)[-1].strip()) if "/" in part else ""
        if operator and operator not in found:
            found.append(operator)
    return " + ".join(found) or "other"
