"""Plays a run to a sink as labelling would, with made-up sources."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from effvit_edge.core.motion.film import FilmFrame, render_film
from effvit_edge.sinks import FeedSink

FPS = 15.0
MODEL_LABELS = (
    "left", "right", "up", "down", "closer", "farther", "clockwise", "counterclockwise", "still",
)  # fmt: skip


@dataclass
class Scripted:
    """A source that shows some pictures over and over."""

    name: str
    labels: Sequence[str] = MODEL_LABELS
    """By the pictures' number of segment."""
    state: str = "playing"
    last_error: str | None = None
    reconnects: int = 0
    backend: str = "PyAV 18.1.0, software"
    dropped: int = 0
    has_events: bool = True
    film: Sequence[FilmFrame] = ()
    start_seconds: float = 0.0
    frame: int = 0
    current: dict[str, Any] | None = field(default=None)

    @property
    def now(self) -> float:
        return self.start_seconds + self.frame / FPS


def short_film(
    seed: int, image_hw: tuple[int, int] = (180, 320), segments: int = 6, seconds: float = 2.0
) -> list[FilmFrame]:
    """A film with known motions, at the feed's rate."""
    frames = render_film(seed, image_hw, FPS, seconds)
    return list(itertools.islice(frames, round(segments * seconds * FPS)))


class Feed:
    """Feeds a sink, in a thread or step by step.

    Args:
        sink: what is fed.
        sources: what is played.
    """

    def __init__(self, sink: FeedSink, sources: Sequence[Scripted]) -> None:
        self._sink = sink
        self._sources = sources
        self._steps = 0
        self._events = itertools.count()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)
        self.pictures = 0
        """How many pictures were asked for."""

    def step(self) -> None:
        """The next frame of every source that plays; the status twice a second."""
        for source in self._sources:
            if source.state == "playing":
                self._show(source)
        if self._steps % round(FPS / 2) == 0:
            self._sink.status(self._status())
        self._steps += 1

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _play(self) -> None:
        while not self._stop.wait(1 / FPS):
            self.step()

    def _show(self, source: Scripted) -> None:
        film = source.film
        shown = film[source.frame % len(film)] if film else None
        segment = shown.segment if shown else source.frame // 30
        label = source.labels[segment % len(source.labels)]
        record = _record(source, label)
        if source.has_events:
            self._follow(source, label, record["score"])
            event = source.current
            record["event"] = event and {
                "label": event["label"], "score": event["score"], "since_s": event["start_s"],
            }  # fmt: skip
        self._sink.label(record)
        if shown is not None and self._sink.wants_picture(source.name):
            self.pictures += 1
            self._sink.picture(source.name, shown.image, source.now)
        source.frame += 1

    def _follow(self, source: Scripted, label: str, score: float) -> None:
        """Begin an event where the label is sure, and end it where the label changes."""
        event = source.current
        if event is not None and event["label"] != label:
            self._sink.event({**event, "end_s": source.now})
            source.current = None
        if source.current is None and score > 0.6:
            source.current = {
                "id": next(self._events), "source": source.name, "label": label,
                "score": score, "start_s": source.now, "end_s": None,
            }  # fmt: skip
            self._sink.event(source.current)

    def _status(self) -> Mapping[str, Any]:
        return {
            "uptime_s": self._steps / FPS,
            "model": {
                "name": "demo.onnx", "variant": "efficientvit3d_b0", "labels": list(MODEL_LABELS),
                "fps": FPS, "window": 4, "provider": "ONNX Runtime, CPU",
            },
            "sources": [_status_of(one) for one in self._sources],
        }  # fmt: skip


def _record(source: Scripted, label: str) -> dict[str, Any]:
    """As a line of ``label``'s JSONL has it."""
    others = [one for one in source.labels if one != label]
    sure = 0.78 + 0.2 * math.sin(source.now * 1.7 + len(source.name))
    shares = np.array([1.0, 0.45, 0.2])[: len(others)]
    shares = (1 - sure) * shares / shares.sum()
    scores = sorted([(sure, label), *zip(shares.tolist(), others, strict=False)], reverse=True)[:3]
    infer = 9.0 + 2.5 * math.sin(source.frame)
    fill = min(1.0, (source.frame + 1) / 8)
    record = {
        "source": source.name, "frame": source.frame, "time_s": round(source.now, 6),
        "label": scores[0][1], "score": round(scores[0][0], 6),
        "topk": [{"label": name, "score": round(score, 6)} for score, name in scores],
        "window_fill": fill,
        "latency_ms": {
            "decode": 4.1, "preprocess": 1.2, "infer": infer, "post": 0.1, "total": infer + 5.4,
        },
        "dropped": source.dropped,
    }  # fmt: skip
    return record if fill == 1 else {**record, "warming_up": True}


def _status_of(source: Scripted) -> Mapping[str, Any]:
    wave = 1.2 * math.sin(source.now) + 0.4 * math.sin(5 * source.now)
    played = source.frame > 0
    return {
        "source": source.name, "state": source.state, "backend": source.backend,
        "reconnects": source.reconnects, "last_error": source.last_error,
        "fps": FPS if source.state == "playing" else 0.0, "frames": 2 * source.frame,
        "labelled": source.frame, "dropped": source.dropped, "pending": source.frame % 2,
        "window_fill": min(1.0, source.frame / 8), "warming_up": source.frame < 8,
        "latency_ms": {
            "p50": 14.2 + wave if played else None, "p90": 16.9 + wave if played else None,
            "p99": 21.3 + 2 * wave if played else None,
        },
        "roi": None,
    }  # fmt: skip
