"""Two or more results side by side, and which differences are more than noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from effvit_edge.bench.result import Result
from effvit_edge.bench.statistics import Percentile
from effvit_edge.core.errors import InputError

REPEATABLE = 0.03
"""Medians of repeated runs on an idle core differ by less than this share; a ratio that is within
it tells nothing, however narrow the intervals are."""
_COMPARED = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Ratio:
    """How many times as long one takes as the first."""

    name: str
    value: float
    low: float | None
    high: float | None
    """Of what the two intervals allow; None where one of them is open."""

    @property
    def real(self) -> bool:
        """Whether it exceeds the noise: its whole interval is on one side, and beyond 3 %."""
        if self.low is None or self.high is None:
            return False
        return self.low > 1 + REPEATABLE or self.high < 1 / (1 + REPEATABLE)


def ratios(first: Result, other: Result) -> list[Ratio]:
    """Of the percentiles of whole queries, a label each.

    Raises:
        InputError: the results are of different scenarios.
    """
    if (first.settings.scenario, first.settings.streams) != (
        other.settings.scenario,
        other.settings.streams,
    ):
        raise InputError(
            f"{first.artifact.name} was measured {_how(first)} and {other.artifact.name} "
            f"{_how(other)}: only results of the same scenario can be compared."
        )
    return [_ratio(first.total.at(share), other.total.at(share)) for share in _COMPARED]


def differences(results: Sequence[Result]) -> list[str]:
    """What else differs between the runs, which a ratio then holds, too."""
    parts = {
        "device": {result.device.title for result in results},
        "runs on": {result.settings.provider for result in results},
        "switches": {str(result.settings.switches) for result in results},
        "threads": {str(result.settings.threads) for result in results},
        "pictures": {_pictures(result) for result in results},
    }
    found = [f"{name}: {', '.join(sorted(v))}" for name, v in parts.items() if len(v) > 1]
    changes = {c for result in results[1:] for c in results[0].speed.changes(result.speed)}
    return found + [f"the machine's own speed: {change}" for change in sorted(changes)]


def _ratio(first: Percentile, other: Percentile) -> Ratio:
    low = high = None
    if other.low is not None and first.high:
        low = other.low / first.high
    if other.high is not None and first.low:
        high = other.high / first.low
    return Ratio(first.name, other.value / first.value, low, high)


def _pictures(result: Result) -> str:
    settings = result.settings
    size = f"{settings.picture_width}×{settings.picture_height}, rendered"
    return f"frames of {settings.video}, decoded" if settings.video else size


def _how(result: Result) -> str:
    streams = f" {result.settings.streams}" if result.settings.streams > 1 else ""
    return f"{result.settings.scenario}{streams}"
