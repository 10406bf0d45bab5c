"""What is said about one frame."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

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

    def to_record(self) -> dict[str, Any]:
        """The decision as a line of JSONL holds it."""
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
        return record
