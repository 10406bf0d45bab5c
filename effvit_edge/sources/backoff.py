"""How long to wait before trying again, so that a device is neither forgotten nor hammered."""

from __future__ import annotations

import random


class Backoff:
    """Waits that double, each a random part of 75 to 100 % so that cameras do not come in step.

    Args:
        first_seconds: the longest first wait.
        most_seconds: the longest wait of all.
        rng: draws the parts.
    """

    def __init__(
        self,
        first_seconds: float = 0.5,
        most_seconds: float = 30.0,
        rng: random.Random | None = None,
    ) -> None:
        self._first, self._most = first_seconds, most_seconds
        self._rng = rng or random.Random()
        self._next = first_seconds

    def next(self) -> float:
        """Seconds to wait now; the next call gives about twice as many."""
        seconds = self._next * self._rng.uniform(0.75, 1.0)
        self._next = min(2 * self._next, self._most)
        return seconds

    def reset(self) -> None:
        """Start from the first wait again."""
        self._next = self._first
