"""The two halves of labelling alone, and both overlapping in the pipeline, on one film."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from effvit_edge.core.video import VideoReader
from effvit_edge.live import (
    EventRules,
    EventTracker,
    Intake,
    Labeller,
    LabelOptions,
    Lane,
    Outputs,
    Prepared,
    label_lanes,
)
from effvit_edge.runtime import Session
from effvit_edge.sinks import MemorySink
from effvit_edge.sources import End, Frame, SourceRef, Timeout
from effvit_edge.sources.file import FileSource


class OneThreadFile(FileSource):
    """A file that is decoded and converted in the thread that reads it, and in no other."""

    def __init__(self, path: Path, most_frames: int) -> None:
        super().__init__(path)
        self._reader.close()
        self._reader = VideoReader(path, threads=False)
        self._left = most_frames

    def read(self, timeout: float | None = None) -> Frame | Timeout | End:
        """At most so many frames."""
        self._left -= 1
        return super().read(timeout) if self._left >= 0 else End()


class PacedFile(OneThreadFile):
    """A file that passes for a camera: each frame is read when its time has come."""

    is_live = True

    def __init__(self, path: Path, most_frames: int, fps: float) -> None:
        super().__init__(path, most_frames)
        self._gap = 1 / fps
        self._due = time.perf_counter()

    def read(self, timeout: float | None = None) -> Frame | Timeout | End:
        """The next, not before its time."""
        self._due += self._gap
        time.sleep(max(0.0, self._due - time.perf_counter()))
        return super().read(timeout)


@dataclass(frozen=True)
class Spent:
    """Seconds, of the clock on the wall and of all processors together."""

    wall: float
    cpu: float


class Stopwatch:
    """Tells what was spent since it was last asked."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def lap(self) -> Spent:
        """Since the last lap."""
        wall, cpu = time.perf_counter(), time.process_time()
        spent = Spent(wall - self._wall, cpu - self._cpu)
        self._wall, self._cpu = wall, cpu
        return spent


@dataclass(frozen=True)
class Round:
    """What the same frames cost, each way."""

    read: Spent
    """Decoding, choosing and preparing, alone."""
    infer: Spent
    """The model and the decisions, alone."""
    both: Spent
    """The pipeline, records in memory, no video."""

    @property
    def overlap(self) -> float:
        """The slower half's time, as a share of the pipeline's; 1 is perfect."""
        return max(self.read.wall, self.infer.wall) / self.both.wall

    @property
    def cpu_cost(self) -> float:
        """The pipeline's processor time, as a multiple of both halves'; 1 is perfect.

        Unlike the overlap it is hardly changed by what else the machine does.
        """
        return self.both.cpu / (self.read.cpu + self.infer.cpu)


def measure_round(path: Path, session: Session, frames: int) -> Round:
    """Each half, then both, one after another."""
    watch = Stopwatch()
    prepared = read_alone(path, session, frames)
    read = watch.lap()
    infer_alone(prepared, session)
    infer = watch.lap()
    together(OneThreadFile(path, frames), session)
    return Round(read, infer, watch.lap())


def read_alone(path: Path, session: Session, frames: int) -> list[Prepared]:
    """What the reading thread does."""
    intake = Intake(session.card)
    prepared = []
    with OneThreadFile(path, frames) as source:
        while isinstance(frame := source.read(), Frame):
            taken = intake.take(frame)
            if taken is not None:
                prepared.append(taken)
    return prepared


def infer_alone(prepared: list[Prepared], session: Session) -> None:
    """What the model's thread does."""
    labeller = Labeller(session)
    tracker = EventTracker(EventRules(), session.card.labels, "alone")
    for frame in prepared:
        decision = labeller.feed(frame, "alone")
        if decision:
            tracker.follow(decision)
    tracker.end()


def together(source: FileSource, session: Session) -> list[float]:
    """Label a source in the pipeline; the total latency of each label, in milliseconds."""
    records = MemorySink()
    lanes = [Lane([SourceRef("film", "film")], is_live=source.is_live)]
    options = LabelOptions(events=EventRules())
    label_lanes(lanes, session, Outputs(records), options, None, lambda ref: source)
    return [record["latency_ms"]["total"] for record in records.records]
