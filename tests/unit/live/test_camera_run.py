"""The whole pipeline on a network camera that loses its power while it is labelled."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from effvit_edge.live import Lane, Outputs, label_lanes
from effvit_edge.runtime import FakeSession
from effvit_edge.sinks import MemorySink
from effvit_edge.sources import SourceRef
from tests.live_faults import Listener
from tests.rtsp import RtspCamera, rtsp_camera
from tests.tiny_models import tiny_card

FPS = 10.0
ENOUGH = 12  # records: the window is full, and then some


def answer(frames: np.ndarray) -> np.ndarray:
    return np.array([0, 9, 1], np.float32)


class Accident(Listener):
    """Kills the camera once there are records, starts it again, and ends when more have come."""

    def __init__(self, camera: RtspCamera, records: list[Mapping[str, Any]]) -> None:
        super().__init__()
        self._camera, self._records = camera, records
        self._steps = iter((self._kill, self._start, self._end))
        self._step = next(self._steps)
        self.killed_at = self.back_at = 0
        self._ended = False

    def should_stop(self) -> bool:
        """Do the next thing when its time has come; whether all is done."""
        if self._step():
            self._step = next(self._steps, self._end)
        return self._ended

    def _kill(self) -> bool:
        if len(self._records) < ENOUGH:
            return False
        self._camera.kill()
        return True

    def _start(self) -> bool:
        if not any("has lost contact" in note for note in self.notes):
            return False
        self.killed_at = len(self._records)
        self._camera.start()
        return True

    def _end(self) -> bool:
        self._ended = len(self._records) >= self.killed_at + ENOUGH
        return self._ended


def test_labelling_goes_on_after_a_camera_came_back_and_the_gap_is_recorded() -> None:
    sink = MemorySink()
    with rtsp_camera("admin", "hush:hush") as camera:
        uri = camera.url(login="admin:hush%3Ahush")
        watcher = Accident(camera, sink.records)
        session = FakeSession(tiny_card("stream", FPS), answer)
        lane = Lane([SourceRef(uri, "gate")], is_live=True)
        report = label_lanes([lane], session, Outputs(sink), None, watcher)
    records = sink.records
    times = [record["time_s"] for record in records]
    assert all(earlier < later for earlier, later in itertools.pairwise(times))
    warming = [record.get("warming_up", False) for record in records]
    after = warming.index(True, 3)  # the first record of after the accident
    assert warming[:3] == warming[after : after + 3] == [True] * 3
    assert sum(warming) == 6
    assert times[after] - times[after - 1] > 1 / FPS
    (done,) = report.sources
    assert done.health is not None
    assert (done.health.reconnects, done.failure, done.hung) == (1, None, False)
    assert done.ledger.produced == done.ledger.done + done.ledger.dropped
    told = " ".join(watcher.notes)
    assert "gate is back after" in told
    assert "gate breaks off before" in told
    assert "hush" not in told + str(records) + str(report)
