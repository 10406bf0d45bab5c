"""How often the labels of a film are right, where the truth about every frame is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class FrameTruth:
    """What one frame of a film shows."""

    frame: int
    time_s: float
    label: str
    segment: int
    """Number of the stretch with this label, from 0."""


@dataclass
class Tally:
    """Right answers out of all."""

    right: int = 0
    total: int = 0

    def add(self, is_right: bool) -> None:
        """Count one more answer."""
        self.right += is_right
        self.total += 1

    @property
    def share(self) -> float:
        """Of right answers, 0 to 1; 0 where nothing was asked."""
        return self.right / self.total if self.total else 0.0


@dataclass
class FilmScore:
    """Right answers at the last decision of each segment, and over the settled frames."""

    ends: Tally = field(default_factory=Tally)
    settled: Tally = field(default_factory=Tally)
    """Decisions about frames at least ``settle_seconds`` after their segment began."""
    settled_by_label: dict[str, Tally] = field(default_factory=dict)
    ends_by_label: dict[str, Tally] = field(default_factory=dict)
    mistaken_for: dict[str, Counter[str]] = field(default_factory=dict)
    """For each true label, the wrong ones given to its settled frames."""


def score_film(
    records: Iterable[Mapping[str, Any]], truth: Sequence[FrameTruth], settle_seconds: float = 1.0
) -> FilmScore:
    """Hold the records of a film against the truth about its frames.

    Args:
        records: as in the JSONL of ``label``, all of the one film.
        truth: of every frame of the film, the n-th about frame n.
        settle_seconds: how long after a change of motion a frame does not count yet.
    """
    starts: dict[int, float] = {}
    for shown in truth:
        starts.setdefault(shown.segment, shown.time_s)
    score = FilmScore()
    last: dict[int, tuple[str, bool]] = {}
    for record in records:
        shown = truth[record["frame"]]
        is_right = record["label"] == shown.label
        last[shown.segment] = (shown.label, is_right)
        if shown.time_s - starts[shown.segment] < settle_seconds:
            continue
        score.settled.add(is_right)
        score.settled_by_label.setdefault(shown.label, Tally()).add(is_right)
        if not is_right:
            score.mistaken_for.setdefault(shown.label, Counter())[record["label"]] += 1
    for label, is_right in last.values():
        score.ends.add(is_right)
        score.ends_by_label.setdefault(label, Tally()).add(is_right)
    return score
