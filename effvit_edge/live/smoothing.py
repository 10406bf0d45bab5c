"""Scores made steady over time, by the source's own clock, whatever the rate of the answers."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from effvit_edge.core.errors import InputError
from effvit_edge.live.decision import Scores

ROUNDING_SECONDS = 1e-6
"""Differences of timestamps that should be equal may differ by less than this."""

_FORM = "Use exp:SECONDS, window:SECONDS or none."


class Smoother(Protocol):
    """Takes the scores as they come, and gives steadier ones."""

    def add(self, pts_seconds: float, scores: Scores) -> Scores:
        """The smoothed scores at this time; times increase."""
        ...


class Plain:
    """Changes nothing."""

    def add(self, pts_seconds: float, scores: Scores) -> Scores:
        """See ``Smoother.add``."""
        return scores


class Exponential:
    """A running mean that forgets: what lies ``seconds`` back weighs 1/e.

    ``y_t = y + (1 - exp(-dt / seconds)) (x_t - y)``, so that a step from 0 to 1 has reached
    ``1 - exp(-t / seconds)`` after t seconds, at any rate. The first scores are taken as they are.

    Args:
        seconds: positive.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._mean: Scores | None = None
        self._last = 0.0

    def add(self, pts_seconds: float, scores: Scores) -> Scores:
        """See ``Smoother.add``."""
        if self._mean is None:
            self._mean = scores
        else:
            weight = -math.expm1(-(pts_seconds - self._last) / self._seconds)
            self._mean = self._mean + weight * (scores - self._mean)
        self._last = pts_seconds
        return self._mean


class Windowed:
    """The mean of the answers of the last ``seconds``, the newest among them.

    Args:
        seconds: positive; an answer exactly that old no longer counts.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._answers: deque[tuple[float, Scores]] = deque()

    def add(self, pts_seconds: float, scores: Scores) -> Scores:
        """See ``Smoother.add``."""
        self._answers.append((pts_seconds, scores))
        while pts_seconds - self._answers[0][0] >= self._seconds - ROUNDING_SECONDS:
            self._answers.popleft()
        # Summed anew each time: a running sum would drift over days.
        mean: Scores = np.mean([answer for _, answer in self._answers], axis=0)
        return mean


@dataclass(frozen=True)
class Smoothing:
    """What kind of smoothing, and over how long."""

    kind: Literal["none", "exp", "window"] = "none"
    seconds: float = 0.0

    def start(self) -> Smoother:
        """A smoother that has seen nothing."""
        if self.kind == "exp":
            return Exponential(self.seconds)
        return Windowed(self.seconds) if self.kind == "window" else Plain()

    def __str__(self) -> str:
        return self.kind if self.kind == "none" else f"{self.kind}:{self.seconds:g}"


def parse_smoothing(text: str) -> Smoothing:
    """Smoothing from ``exp:SECONDS``, ``window:SECONDS`` or ``none``.

    Raises:
        InputError: it is none of these, or the time is not positive.
    """
    kind, _, number = text.partition(":")
    if kind == "none" and not number:
        return Smoothing()
    try:
        seconds = float(number)
    except ValueError:
        seconds = math.nan
    if kind not in ("exp", "window") or not (math.isfinite(seconds) and seconds > 0):
        raise InputError(f"There is no smoothing '{text}'. {_FORM}")
    return Smoothing("exp" if kind == "exp" else "window", seconds)
