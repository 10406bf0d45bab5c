from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from effvit_edge.core.clock import FakeClock
from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.sources import End, Frame, SourceError
from effvit_edge.sources.camera import CameraSource


class FakeCapture:
    """Stands in for ``cv2.VideoCapture``: a frame each 40 ms of a fake clock, then nothing."""

    def __init__(self, clock: FakeClock, frames: int, opens: bool = True) -> None:
        self._clock, self._frames, self._opens = clock, frames, opens
        self.released = 0

    def isOpened(self) -> bool:
        return self._opens

    def get(self, prop: int) -> float:
        return 25.0 if prop == 5 else 0.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        if self._frames == 0:
            return False, None
        self._frames -= 1
        self._clock.advance(0.04)
        return True, np.full((2, 3, 3), (10, 20, 30), np.uint8)

    def release(self) -> None:
        self.released += 1


def test_frames_are_rgb_and_timed_from_the_first_arrival() -> None:
    clock = FakeClock(100.0)
    capture = FakeCapture(clock, 3)
    with CameraSource(0, clock, lambda _: capture) as source:
        assert (source.name, source.is_live, source.nominal_fps) == ("camera0", True, 25.0)
        frames = [source.read() for _ in range(3)]
    assert all(isinstance(frame, Frame) for frame in frames)
    assert [frame.pts_seconds for frame in frames] == pytest.approx([0, 0.04, 0.08])
    assert [frame.arrival_seconds for frame in frames] == pytest.approx([100.04, 100.08, 100.12])
    assert frames[0].grab_ms == pytest.approx(40)
    np.testing.assert_array_equal(frames[0].image[0, 0], [30, 20, 10])
    assert capture.released == 1


def test_unplugging_is_an_error_and_closing_an_end() -> None:
    clock = FakeClock()
    source = CameraSource(0, clock, lambda _: FakeCapture(clock, 1))
    source.read()
    with pytest.raises(SourceError, match="camera0 gives no more frames"):
        source.read()
    source.close()
    source.close()
    assert source.read() == End()


def test_a_camera_in_use_is_an_environment_fault() -> None:
    capture = FakeCapture(FakeClock(), 0, opens=False)
    with pytest.raises(EnvironmentFault, match="Is another program using it"):
        CameraSource(2, FakeClock(), lambda _: capture)
    assert capture.released == 1


def test_an_absent_camera_is_told_without_asking_opencv() -> None:
    if Path("/dev/video99").exists():
        pytest.skip("this machine has a hundred cameras")
    with pytest.raises(EnvironmentFault, match=r"no camera 99 \(/dev/video99\)"):
        CameraSource(99)
