"""Puts into words what becomes of the contact to live sources."""

from __future__ import annotations

from collections.abc import Sequence

from effvit_edge.core.clock import Clock
from effvit_edge.live.status import SourceStatus


class HealthWatch:
    """Notices that contact to a source was lost, and that it is back.

    Args:
        clock: for how long it was away.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._away: dict[str, float] = {}
        self._reconnects: dict[str, int] = {}

    def see(self, sources: Sequence[SourceStatus]) -> list[str]:
        """What to say, having looked at all sources; a change is told once."""
        return [said for status in sources if (said := self._look(status))]

    def _look(self, status: SourceStatus) -> str | None:
        name, health = status.source, status.health
        before = self._reconnects.setdefault(name, 0)
        if health.state == "reconnecting":
            if name in self._away:
                return None
            self._away[name] = self._clock.now()
            why = (health.last_error or "no reason is known").rstrip(".")
            return f"{name} has lost contact, and is tried again: {why}."
        if health.reconnects > before:
            self._reconnects[name] = health.reconnects
            since = self._away.pop(name, None)
            took = "" if since is None else f" after {self._clock.now() - since:.1f} s"
            return f"{name} is back{took}."
        return None
