"""How a run went, source by source."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from effvit_edge.core.errors import EdgeError
from effvit_edge.live.decision import Decision
from effvit_edge.live.mailbox import Ledger
from effvit_edge.sources import Health, Losses


@dataclass
class SourceReport:
    """How one source went."""

    source: str
    is_live: bool = False
    frames: int = 0
    decisions: int = 0
    events: int = 0
    seconds: float = 0.0
    """Of wall clock."""
    losses: Losses = field(default_factory=Losses)
    ledger: Ledger = field(default_factory=Ledger)
    """Of the frames that were offered to the model."""
    undrawn: int = 0
    """Pictures of a live source that were not drawn."""
    health: Health | None = None
    """At the end; None where it did not open."""
    failure: EdgeError | None = None
    """Why the source gave no more frames, or none at all; None when it came to its end."""
    stopped: bool = False
    """Whether someone asked to stop before the end."""
    hung: bool = False
    """Whether it did not answer when it was asked to end, and was left to itself."""
    last: Decision | None = None

    @property
    def complete(self) -> bool:
        """Whether there is no more to come: a camera has no end that it could be short of."""
        cut = self.stopped or (self.failure is not None and self.frames > 0)
        return self.is_live or not cut


@dataclass
class RunReport:
    """How the whole job went."""

    sources: list[SourceReport] = field(default_factory=list)
    videos: list[Path] = field(default_factory=list)
    clips: list[Path] = field(default_factory=list)
    """Of events."""
    jsonl: Path | None = None
    """Where the records are; under a partial name when the run did not come to its end."""
    events_table: Path | None = None
    """Where the events are, likewise."""
    kept: list[Path] = field(default_factory=list)
    """Those of the files that have a partial name, which the watcher was told."""
    seconds: float = 0.0
    """Of wall clock, from the first thread to the last file."""
    stopped: bool = False
    """Whether someone asked to stop before the end."""

    @property
    def frames(self) -> int:
        """Frames given by all sources."""
        return sum(report.frames for report in self.sources)

    @property
    def decisions(self) -> int:
        """Decisions about all sources."""
        return sum(report.decisions for report in self.sources)

    @property
    def events(self) -> int:
        """Events of all sources."""
        return sum(report.events for report in self.sources)

    @property
    def lost(self) -> int:
        """Frames of all sources that could not be used."""
        return sum(report.losses.frames for report in self.sources)

    @property
    def damaged(self) -> int:
        """Frames of all sources that were used and are damaged."""
        return sum(report.losses.damaged for report in self.sources)

    @property
    def skipped(self) -> int:
        """Frames that came too fast for the model."""
        return sum(report.ledger.dropped for report in self.sources)

    @property
    def failures(self) -> list[SourceReport]:
        """The sources that failed, before their first frame or later."""
        return [report for report in self.sources if report.failure]
