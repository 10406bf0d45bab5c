from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effvit_edge.core.clock import FakeClock
from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.core.video import Losses
from effvit_edge.sources import SourceError, open_source
from effvit_edge.sources.opencv import check_device, open_camera, open_pipeline
from effvit_edge.sources.options import Options

DEVICE = "/dev/video0"


class FakeCapture:
    """Stands in for ``cv2.VideoCapture``: a frame each 40 ms of a fake clock, then nothing."""

    def __init__(self, clock: FakeClock, frames: int, opens: bool = True, timed: bool = False):
        self._clock, self._left, self._opens, self._timed = clock, frames, opens, timed
        self.asked: dict[int, float] = {}
        self.target: tuple[Any, ...] = ()
        self.released = 0

    def __call__(self, *target: Any) -> FakeCapture:
        self.target = target
        return self

    def isOpened(self) -> bool:
        return self._opens

    def get(self, prop: int) -> float:
        known = {3: 640.0, 4: 480.0, 5: 25.0, 6: float(int.from_bytes(b"MJPG", "little"))}
        if prop == 0:
            return 1000 * self._clock.now() if self._timed else 0.0
        return known.get(prop, 0.0)

    def set(self, prop: int, value: float) -> bool:
        self.asked[prop] = value
        return True

    def grab(self) -> bool:
        self._left -= 1
        self._clock.advance(0.04)
        return self._left >= 0

    def retrieve(self) -> tuple[bool, np.ndarray]:
        self._clock.advance(0.002)
        return True, np.full((2, 3, 3), (10, 20, 30), np.uint8)

    def release(self) -> None:
        self.released += 1


def test_a_camera_gives_rgb_with_the_arrival_after_decoding_and_without_the_wait() -> None:
    clock = FakeClock(100.0)
    video = FakeCapture(clock, 2)
    with open_camera(DEVICE, Options(), Losses(), clock, video) as capture:
        grabbed = capture.grab()
        assert capture.backend.startswith("V4L2 through OpenCV")
        assert capture.backend.endswith("640x480 MJPG")
        assert capture.nominal_fps == 25.0
    assert grabbed is not None
    assert grabbed.pts_seconds is None
    assert grabbed.arrival_seconds == pytest.approx(100.042)
    assert grabbed.grab_ms == pytest.approx(2)
    np.testing.assert_array_equal(grabbed.load()[0, 0], [30, 20, 10])
    assert video.target[0] == 0
    assert video.released == 1


def test_the_times_of_a_driver_that_keeps_them_are_used() -> None:
    clock = FakeClock(7.0)
    with open_camera(DEVICE, Options(), Losses(), clock, FakeCapture(clock, 1, timed=True)) as cam:
        grabbed = cam.grab()
    assert grabbed is not None
    assert grabbed.pts_seconds == pytest.approx(7.042)


def test_a_camera_is_asked_for_what_the_user_wants_the_pixels_first() -> None:
    video = FakeCapture(FakeClock(), 0)
    options = Options(width=1280, height=720, fps=30, format="MJPG")
    open_camera(DEVICE, options, Losses(), None, video).close()
    assert video.asked == {6: int.from_bytes(b"MJPG", "little"), 3: 1280, 4: 720, 5: 30}
    assert next(iter(video.asked)) == 6


def test_unplugging_is_an_error() -> None:
    clock = FakeClock()
    with open_camera(DEVICE, Options(), Losses(), clock, FakeCapture(clock, 1)) as capture:
        capture.grab()
        with pytest.raises(SourceError, match="/dev/video0 gives no more frames"):
            capture.grab()


def test_a_camera_in_use_is_an_environment_fault() -> None:
    video = FakeCapture(FakeClock(), 0, opens=False)
    with pytest.raises(EnvironmentFault, match="Is another program using it"):
        open_camera("/dev/video2", Options(), Losses(), None, video)
    assert video.released == 1


def test_an_absent_camera_is_told_without_asking_opencv() -> None:
    if Path("/dev/video99").exists():
        pytest.skip("this machine has a hundred cameras")
    with pytest.raises(EnvironmentFault, match=r"no camera 99 \(/dev/video99\)"):
        open_source("99")
    with pytest.raises(EnvironmentFault, match="no camera /dev/v4l/by-id/x"):
        open_source("v4l2:///dev/v4l/by-id/x")


def test_what_is_no_camera_is_not_taken_for_one() -> None:
    with pytest.raises(EnvironmentFault, match="/dev/shm is no camera"):
        open_source("v4l2:///dev/shm")


def test_a_pipeline_that_does_not_start_is_told_without_its_password() -> None:
    video = FakeCapture(FakeClock(), 0, opens=False)
    pipeline = 'rtspsrc user-pw="geheim" ! appsink'
    with pytest.raises(EnvironmentFault, match="does not start this pipeline") as caught:
        open_pipeline(pipeline, "shown", Losses(), endless=True, open_video=video)
    assert "geheim" not in str(caught.value)
    assert video.target[0] == pipeline


def test_opencvs_times_of_a_pipeline_are_not_believed() -> None:
    clock = FakeClock(7.0)
    video = FakeCapture(clock, 1, timed=True)
    with open_pipeline("a ! appsink", "a", Losses(), endless=False, open_video=video) as capture:
        grabbed = capture.grab()
        assert capture.grab() is None
    assert grabbed is not None
    assert grabbed.pts_seconds is None


def test_what_only_looks_like_a_camera_does_not_open(capfd: pytest.CaptureFixture[str]) -> None:
    with open_source("v4l2:///dev/null") as source:
        with pytest.raises(EnvironmentFault, match="The camera /dev/null is there and does not"):
            source.read(60)
        assert source.health.state == "failed"
    assert capfd.readouterr() == ("", "")


def test_a_camera_that_may_not_be_used_is_told_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(EnvironmentFault, match="Join the group 'video' and log in again"):
        check_device("/dev/null")
