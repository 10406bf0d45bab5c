"""What is said about one frame."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Scores: TypeAlias = npt.NDArray[np.float64]
"""A probability for each label of the card's first group, in the card's order, ``(labels,)``."""

_MS_DIGITS, _SCORE_DIGITS, _TIME_DIGITS = 3, 6, 6


@dataclass(frozen=True)
class Candidate:
    """A label and its probability, 0 to 1."""

    label: str
    score: float


@dataclass(frozen=True)
class Latency:
    """Where the time between reading a frame and knowing its label went, in milliseconds."""

    decode: float
    preprocess: float
    infer: float
    post: float
    total: float
    """From the start of reading to the label, with any waiting in between."""


@dataclass(frozen=True)
class Event:
    """A stretch of one source's time that shows one action."""

    id: int
    """Unique within a run, from 1."""
    source: str
    label: str
    score: float
    """The highest smoothed score so far, 0 to 1."""
    start_seconds: float
    end_seconds: float | None = None
    """None while it goes on."""

    def to_record(self) -> dict[str, Any]:
        """The event as a feed, or a line of a table, holds it."""
        end = self.end_seconds
        return {
            "id": self.id,
            "source": self.source,
            "label": self.label,
            "score": round(self.score, _SCORE_DIGITS),
            "start_s": round(self.start_seconds, _TIME_DIGITS),
            "end_s": None if end is None else round(end, _TIME_DIGITS),
        }


@dataclass(frozen=True)
class Decision:
    """The label of one frame of one source."""

    source: str
    frame: int
    """Counted from 0 over the frames that the source gave."""
    pts_seconds: float
    topk: tuple[Candidate, ...]
    """Best first, at least one."""
    window_fill: float
    """How much of the model's window has been seen, 0 to 1."""
    latency_ms: Latency
    dropped: int
    """Frames of this source lost so far."""
    scores: Scores = dataclasses.field(repr=False, compare=False)
    """The model's answer for every label, as it came."""
    event: Event | None = None
    """The event that goes on at this frame, where events are looked for and there is one."""

    @property
    def label(self) -> str:
        """The most probable label."""
        return self.topk[0].label

    @property
    def score(self) -> float:
        """Its probability, 0 to 1."""
        return self.topk[0].score

    @property
    def warming_up(self) -> bool:
        """Whether the model has seen less than its window; the label is then a first guess."""
        return self.window_fill < 1

    def to_record(self, with_event: bool = False) -> dict[str, Any]:
        """The decision as a line of JSONL holds it.

        Args:
            with_event: also tell the event that goes on, or that there is none.
        """
        record: dict[str, Any] = {
            "source": self.source,
            "frame": self.frame,
            "time_s": round(self.pts_seconds, _TIME_DIGITS),
            "label": self.label,
            "score": round(self.score, _SCORE_DIGITS),
            "topk": [
                {"label": best.label, "score": round(best.score, _SCORE_DIGITS)}
                for best in self.topk
            ],
            "window_fill": round(self.window_fill, _SCORE_DIGITS),
            "latency_ms": {
                stage: round(ms, _MS_DIGITS)
                for stage, ms in dataclasses.asdict(self.latency_ms).items()
            },
            "dropped": self.dropped,
        }
        if self.warming_up:
            record["warming_up"] = True
        if with_event:
            record["event"] = self.event and {
                "label": self.event.label,
                "score": round(self.event.score, _SCORE_DIGITS),
                "since_s": round(self.event.start_seconds, _TIME_DIGITS),
            }
        return record
