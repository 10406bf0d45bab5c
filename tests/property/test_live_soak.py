"""Many frames through the whole pipeline: nothing grows, nothing is lost, the law holds."""

from __future__ import annotations

import gc
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effvit_edge.live import (
    EventRules,
    LabelOptions,
    Lane,
    Outputs,
    RunReport,
    SourceStatus,
    label_lanes,
)
from effvit_edge.live.watch import Watcher
from effvit_edge.runtime import Session, open_session
from effvit_edge.sinks import JsonlFileSink
from effvit_edge.sources import End, Frame, MemorySource, SourceRef, Timeout
from tests.tiny_models import tiny_card, write_model

MEGABYTE = 1 << 20
SOURCES = 3


def resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class Film(MemorySource):
    """Synthetic frames, each a level of grey, made as they are read; some sizes and gaps change."""

    def __init__(self, count: int, name: str, is_live: bool) -> None:
        super().__init__([], name, is_live)
        self._left = count
        self._made = 0

    def read(self, timeout: float | None = None) -> Frame | Timeout | End:
        """The next; every 5000th comes after a gap, every 7000th changes the size."""
        if self._made == self._left:
            return End()
        number = self._made
        self._made += 1
        side = 12 + 4 * (number // 7000 % 2)
        image = np.full((side, side, 3), number // 40 % 251, np.uint8)
        now = self._clock.now()
        return Frame(
            number, number / 20, now, 0.0, lambda: image, self._clock, segment=number // 5000
        )


class Auditor(Watcher):
    """Looks at the ledgers while the run goes on, and at the memory once a tenth is done."""

    def __init__(self, total: int) -> None:
        self._total = total
        self.looked = 0
        self.memory: list[int] = []

    def progress(self, sources: Sequence[SourceStatus]) -> None:
        """Hold the law."""
        self.looked += 1
        for status in sources:
            ledger = status.ledger
            assert ledger.produced == ledger.done + ledger.dropped + ledger.pending
            assert 0 <= ledger.pending <= 5
            assert status.pace.decisions <= ledger.done + 1
            assert status.pace.frames <= ledger.produced + 1
        if sum(status.pace.frames for status in sources) > self._total / 10:
            self.memory.append(resident_bytes())


class CountingFeed:
    """Those who watch, keep nothing, and want pictures only at the beginning."""

    def __init__(self) -> None:
        self.labels = self.open_events = 0

    def label(self, record: Mapping[str, Any]) -> None:
        self.labels += 1

    def event(self, event: Mapping[str, Any]) -> None:
        self.open_events += 1 if event["end_s"] is None else -1

    def wants_picture(self, source: str) -> bool:
        return self.labels < 1000

    def picture(self, source: str, image: np.ndarray, pts_seconds: float) -> None:
        pass

    def status(self, status: Mapping[str, Any]) -> None:
        pass

    def close(self) -> None:
        pass


def soak(session: Session, frames: int, folder: Path) -> tuple[RunReport, int]:
    """Two files and a live source at once: what came of them, and by how much memory grew."""
    each = frames // SOURCES
    films = [Film(each, str(number), is_live=number == 2) for number in range(SOURCES)]
    lanes = [
        Lane([SourceRef(str(number), film.name)], None, film.is_live)
        for number, film in enumerate(films)
    ]
    gc.collect()
    threads, files = threading.active_count(), open_files()
    auditor, feed = Auditor(frames), CountingFeed()
    with session:
        report = label_lanes(
            lanes,
            session,
            Outputs(JsonlFileSink(folder / "a.jsonl"), feeds=[feed]),
            LabelOptions(events=EventRules(min_seconds=0.1)),
            auditor,
            lambda ref: films[int(ref.uri)],
        )
    assert report.frames == SOURCES * each
    for done in report.sources:
        assert done.ledger.produced == done.ledger.done + done.ledger.dropped
        assert done.decisions == done.ledger.done
        assert done.is_live or done.decisions == each
    with (folder / "a.jsonl").open() as lines:
        assert sum(1 for _ in lines) == report.decisions == feed.labels
    assert feed.open_events == 0
    assert threading.active_count() == threads
    assert open_files() <= files
    assert auditor.looked > 1
    assert auditor.memory, "the run was too short to see its memory"
    return report, max(auditor.memory) - auditor.memory[0]


def tiny_session(folder: Path) -> Session:
    return open_session(write_model(folder / "tiny.onnx", tiny_card("stream", 20)), provider="cpu")


def test_a_short_run_loses_and_leaves_nothing(tmp_path: Path) -> None:
    report, grown = soak(tiny_session(tmp_path), 6_000, tmp_path)
    assert report.frames == 6_000
    assert grown < 20 * MEGABYTE


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_hundred_thousand_frames_lose_leave_and_grow_nothing(tmp_path: Path) -> None:
    report, grown = soak(tiny_session(tmp_path), 210_000, tmp_path)
    assert report.frames == 210_000
    assert grown < 5 * MEGABYTE
