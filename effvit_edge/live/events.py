"""From scores that come and go to actions with a beginning and an end."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from effvit_edge.core.errors import InputError
from effvit_edge.live.decision import Decision, Event, Scores
from effvit_edge.live.smoothing import ROUNDING_SECONDS, Smoothing


@dataclass(frozen=True)
class EventRules:
    """When an action is taken to be there.

    An action begins where its smoothed score is the highest and at least ``threshold``. It goes
    on while its score stays at or above ``threshold - hysteresis`` and no other label leads it by
    more than ``hysteresis``. Where it ends, another may begin at once. It is told once it has
    lasted ``min_seconds``, with the time it really began.

    Raises:
        InputError: a value is out of its range.
    """

    smoothing: Smoothing = field(default_factory=lambda: Smoothing("exp", 0.25))
    threshold: float = 0.5
    """0 to 1."""
    hysteresis: float = 0.1
    """0 to 1."""
    min_seconds: float = 0.25
    """At least 0."""

    def __post_init__(self) -> None:
        for name in ("threshold", "hysteresis"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(f"The {name} must lie between 0 and 1, got {value:g}.")
        if not (math.isfinite(self.min_seconds) and self.min_seconds >= 0):
            raise InputError(
                f"The minimum duration must not be negative, got {self.min_seconds:g} s."
            )


@dataclass
class _Action:
    """What may be an event, or is one."""

    label: int
    start_seconds: float
    last_seconds: float
    score: float
    event: Event | None = None


def numbers() -> Callable[[], int]:
    """Gives 1, 2, 3, ... to whoever calls, from any thread."""
    count = itertools.count(1)
    return lambda: next(count)


class EventTracker:
    """Follows one source. Events of one tracker never overlap.

    Decisions of a model that is warming up are not looked at, and what was before such a pause is
    forgotten.

    Args:
        rules: when an action is there.
        labels: of the scores, in their order.
        source: the name in the events.
        next_id: gives the numbers of the events.
    """

    def __init__(
        self,
        rules: EventRules,
        labels: tuple[str, ...],
        source: str,
        next_id: Callable[[], int] | None = None,
    ) -> None:
        self._rules = rules
        self._labels = labels
        self._source = source
        self._next_id = next_id or numbers()
        self._smoother = rules.smoothing.start()
        self._action: _Action | None = None

    def follow(self, decision: Decision) -> tuple[Decision, tuple[Event, ...]]:
        """Look at the next decision.

        Returns:
            The decision with the event that goes on there, and what changed: events that ended,
            then events that began.
        """
        if decision.warming_up:
            changes = self.end()
            self._smoother = self._rules.smoothing.start()
            return decision, changes
        scores = self._smoother.add(decision.pts_seconds, decision.scores)
        changes = ()
        if self._action and not self._goes_on(self._action.label, scores):
            changes = self._close(decision.pts_seconds)
        changes += self._see(decision.pts_seconds, scores)
        event = self._action.event if self._action else None
        return dataclasses.replace(decision, event=event), changes

    def end(self) -> tuple[Event, ...]:
        """The source has ended, or broken off: so has what went on, when it was last seen."""
        return self._close(self._action.last_seconds) if self._action else ()

    def _goes_on(self, label: int, scores: Scores) -> bool:
        rules, score = self._rules, scores[label]
        lowest = rules.threshold - rules.hysteresis
        return bool(score >= lowest and scores.max() - score <= rules.hysteresis)

    def _see(self, pts_seconds: float, scores: Scores) -> tuple[Event, ...]:
        """Go on with the action there is, or begin one; told when it has lasted long enough."""
        if self._action is None:
            best = int(np.argmax(scores))
            if scores[best] < self._rules.threshold:
                return ()
            self._action = _Action(best, pts_seconds, pts_seconds, float(scores[best]))
        action = self._action
        action.last_seconds = pts_seconds
        action.score = max(action.score, float(scores[action.label]))
        if action.event:
            action.event = dataclasses.replace(action.event, score=action.score)
            return ()
        if pts_seconds - action.start_seconds < self._rules.min_seconds - ROUNDING_SECONDS:
            return ()
        label = self._labels[action.label]
        action.event = Event(
            self._next_id(), self._source, label, action.score, action.start_seconds
        )
        return (action.event,)

    def _close(self, end_seconds: float) -> tuple[Event, ...]:
        action, self._action = self._action, None
        if action is None or action.event is None:
            return ()
        return (dataclasses.replace(action.event, end_seconds=end_seconds),)
