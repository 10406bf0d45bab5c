"""Percentiles of latencies, and how sure they are.

Nothing is assumed of how latencies are distributed: intervals are between two of the measured
values, chosen by how many of ``n`` values lie below a quantile, which is binomial (David and
Nagaraja, *Order Statistics*, 3rd edition, section 7.1). Values one after another are taken as
independent; a machine whose speed drifts makes the true intervals wider.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from effvit_edge.core.errors import InputError

Times = npt.NDArray[np.float64]

CONFIDENCE = 0.95
SHARES = (0.5, 0.9, 0.95, 0.99, 0.999)
PARTS, _LEAST_OF_PART = 10, 20
MLPERF_SHARE, MLPERF_CONFIDENCE = 0.9, 0.99


@dataclass(frozen=True)
class Percentile:
    """One percentile."""

    share: float
    """0.99 for the 99th."""
    value: float
    low: float | None
    """Of the interval that holds the true percentile with :data:`CONFIDENCE`."""
    high: float | None
    """None where there are too few values to tell."""

    @property
    def name(self) -> str:
        """``p99.9`` for example."""
        return f"p{self.share * 100:g}"


@dataclass(frozen=True)
class Latency:
    """What a list of latencies came to, in their own unit."""

    mean: float
    least: float
    most: float
    percentiles: tuple[Percentile, ...]

    def at(self, share: float) -> Percentile:
        """The percentile of that share.

        Raises:
            InputError: there is none of that share.
        """
        for percentile in self.percentiles:
            if percentile.share == share:
                return percentile
        raise InputError(f"The result has no percentile {share}.")


def latency(values: Times, shares: tuple[float, ...] = SHARES) -> Latency:
    """Sum up latencies.

    Args:
        values: ``(n,)``, in any order and unit.
        shares: which percentiles, between 0 and 1.

    Raises:
        ValueError: there are none.
    """
    if not len(values):
        raise ValueError("there is nothing measured to sum up")
    ordered = np.sort(values)
    factorials = _log_factorials(len(ordered))
    percentiles = (_quantile(ordered, share, factorials) for share in shares)
    return Latency(
        mean=float(ordered.mean()),
        least=float(ordered[0]),
        most=float(ordered[-1]),
        percentiles=tuple(percentiles),
    )


def upper_bound(
    values: Times, share: float = MLPERF_SHARE, confidence: float = MLPERF_CONFIDENCE
) -> float | None:
    """A value that the true percentile does not exceed, with that confidence.

    It is MLPerf Inference's early-stopping estimate (its rules, appendix on early stopping): with
    ``t`` of ``n`` values above it, as many as are still unlikely if the percentile were higher,
    and at least one. None where there are too few values, below 64 for the 90th percentile.
    """
    ordered = np.sort(values)
    above = _cumulative(len(ordered), 1 - share, _log_factorials(len(ordered)))
    allowed = int(np.searchsorted(above, 1 - confidence, side="right")) - 1
    return float(ordered[-1 - allowed]) if allowed >= 1 else None


def drift(values: Times, parts: int = PARTS) -> float | None:
    """By which share the slowest part of a run took longer than its fastest, at their medians.

    0 where the intervals of the two medians overlap, which chance explains. None where there are
    fewer than 20 values a part.

    Args:
        values: ``(n,)``, in the order in which they were measured.
        parts: how many equally long ones.
    """
    if len(values) < _LEAST_OF_PART * parts:
        return None
    pieces = np.array_split(values, parts)
    medians = [latency(piece, (0.5,)).percentiles[0] for piece in pieces]
    fastest = min(medians, key=lambda median: median.value)
    slowest = max(medians, key=lambda median: median.value)
    if slowest.low is None or fastest.high is None or slowest.low <= fastest.high:
        return 0.0
    return slowest.value / fastest.value - 1


def _quantile(ordered: Times, share: float, factorials: Times) -> Percentile:
    below = _cumulative(len(ordered), share, factorials)
    tail = (1 - CONFIDENCE) / 2
    # With x(1) the least value: P(quantile < x(k)) is P(fewer than k values below it).
    low = int(np.searchsorted(below, tail, side="right"))
    high = int(np.searchsorted(below, 1 - tail, side="left")) + 1
    return Percentile(
        share=share,
        value=float(np.quantile(ordered, share)),
        low=float(ordered[low - 1]) if low >= 1 else None,
        high=float(ordered[high - 1]) if high <= len(ordered) else None,
    )


def _cumulative(count: int, share: float, factorials: Times) -> Times:
    """``P(Bin(count, share) <= k)`` for ``k`` from 0 to ``count``."""
    k = np.arange(count + 1)
    choose = factorials[count] - factorials[k] - factorials[count - k]
    logs = choose + k * np.log(share) + (count - k) * np.log1p(-share)
    result: Times = np.minimum(np.cumsum(np.exp(logs)), 1.0)
    return result


def _log_factorials(count: int) -> Times:
    """``log(k!)`` for ``k`` from 0 to ``count``."""
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1, dtype=np.float64)))])
