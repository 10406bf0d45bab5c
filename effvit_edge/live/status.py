"""How a source is doing while it is labelled, for a terminal, a page or a broker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from effvit_edge.live.mailbox import Ledger
from effvit_edge.live.roi import Box
from effvit_edge.live.statistics import Pace
from effvit_edge.sources import Health

_DIGITS = 3


@dataclass(frozen=True)
class SourceStatus:
    """One source at one moment."""

    source: str
    is_live: bool
    expected_frames: int | None
    """How many frames it should have, where it tells."""
    health: Health
    pace: Pace
    ledger: Ledger
    """Of the frames that were offered to the model."""
    lost: int
    """Frames that could not be used."""
    box: Box | None
    """The region that is labelled, once there was a picture."""
    is_over: bool = False
    """Whether it has ended, one way or another, and everything about it is written."""

    @property
    def dropped(self) -> int:
        """Frames that never got a label: unusable ones, and those that came too fast."""
        return self.lost + self.ledger.dropped

    def to_record(self) -> dict[str, Any]:
        """The status as feeds have it."""
        pace, health = self.pace, self.health
        percentiles = pace.latency_ms or (None, None, None)
        return {
            "source": self.source,
            "state": health.state,
            "backend": health.backend,
            "reconnects": health.reconnects,
            "last_error": health.last_error,
            "fps": round(pace.fps, _DIGITS),
            "frames": pace.frames,
            "labelled": pace.decisions,
            "dropped": self.dropped,
            "undrawn": pace.undrawn,
            "pending": self.ledger.pending,
            "window_fill": pace.last.window_fill if pace.last else 0.0,
            "warming_up": pace.last.warming_up if pace.last else True,
            "latency_ms": {
                name: value if value is None else round(value, _DIGITS)
                for name, value in zip(("p50", "p90", "p99"), percentiles, strict=True)
            },
            "roi": list(self.box) if self.box else None,
        }
