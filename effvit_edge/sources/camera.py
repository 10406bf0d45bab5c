"""A camera that the operating system knows by a number, through OpenCV (V4L2 on Linux)."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.closing import Closing
from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.core.optional import require
from effvit_edge.core.video import Losses
from effvit_edge.sources.base import End, Frame, Health, Image, SourceError, Timeout


class CameraSource(Closing):
    """Gives frames until it is closed; their times count from the first one's arrival.

    Args:
        index: 0 for the first camera.
        clock: the times of the frames.
        open_capture: makes the ``cv2.VideoCapture``, or what stands in for it.

    Raises:
        EnvironmentFault: no such camera, no permission, or it is in use.
    """

    is_live = True

    def __init__(
        self,
        index: int,
        clock: Clock | None = None,
        open_capture: Callable[[int], Any] | None = None,
    ) -> None:
        self.name = f"camera{index}"
        self.losses = Losses()
        self.expected_frames: int | None = None
        self._clock = clock or MonotonicClock()
        self._capture = (open_capture or _open_capture)(index)
        if not self._capture.isOpened():
            self._capture.release()
            raise EnvironmentFault(
                f"Camera {index} is there and does not open. Is another program using it?"
            )
        self.nominal_fps: float | None = self._capture.get(_FPS_PROPERTY) or None
        self._index = 0
        self._first_arrival = 0.0
        self._last_pts = -1.0
        self._closed = False

    def read(self, timeout: float | None = None) -> Frame | Timeout | End:
        """See ``Source.read``."""
        if self._closed:
            return End()
        started = self._clock.now()
        got, bgr = self._capture.read()
        arrival = self._clock.now()
        if not got:
            raise SourceError(f"{self.name} gives no more frames. Is it still plugged in?")
        if self._index == 0:
            self._first_arrival = arrival
        pts_seconds = max(arrival - self._first_arrival, self._last_pts + 1e-6)
        frame = Frame(
            self._index,
            pts_seconds,
            arrival,
            (arrival - started) * 1000,
            lambda: _to_rgb(bgr),
            self._clock,
        )
        self._index += 1
        self._last_pts = pts_seconds
        return frame

    @property
    def health(self) -> Health:
        """See ``Source.health``."""
        return Health("playing", "V4L2 through OpenCV")

    def close(self) -> None:
        """See ``Source.close``."""
        if not self._closed:
            self._closed = True
            self._capture.release()


_FPS_PROPERTY = 5  # cv2.CAP_PROP_FPS


def _to_rgb(bgr: Image) -> Image:
    return np.ascontiguousarray(bgr[..., ::-1])


def _open_capture(index: int) -> Any:
    cv2 = require("cv2", "video")
    if platform.system() == "Linux":
        _check_device(index)
        return cv2.VideoCapture(index, cv2.CAP_V4L2)
    return cv2.VideoCapture(index)


def _check_device(index: int) -> None:
    device = Path(f"/dev/video{index}")
    if not device.exists():
        present = sorted(str(path) for path in Path("/dev").glob("video*"))
        there = f"There are: {', '.join(present)}." if present else "There is no camera at all."
        raise EnvironmentFault(f"There is no camera {index} ({device}). {there}")
    if not os.access(device, os.R_OK | os.W_OK):
        raise EnvironmentFault(
            f"Camera {index} ({device}) may not be used. Join the group 'video' and log in again."
        )
