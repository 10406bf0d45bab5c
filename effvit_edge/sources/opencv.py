"""Cameras, files and pipelines of GStreamer through OpenCV's ``VideoCapture``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.closing import Closing
from effvit_edge.core.errors import EnvironmentFault, InputError
from effvit_edge.core.optional import require
from effvit_edge.core.video import Losses, check_file
from effvit_edge.core.video.diagnose import unreadable
from effvit_edge.sources.base import SourceError
from effvit_edge.sources.capture import Grabbed
from effvit_edge.sources.options import Options
from effvit_edge.sources.rgb import to_rgb

_POS_MSEC, _WIDTH, _HEIGHT, _FPS, _FOURCC, _FRAME_COUNT = 0, 3, 4, 5, 6, 7  # cv2.CAP_PROP_*
_PTS = 71  # since 4.11; 0 before
_MISSED_SHARE = 0.2  # of the frames that a file should have, before OpenCV's guess is believed
_SILENT = 0

OpenVideo = Callable[..., Any]
"""``cv2.VideoCapture``, or what stands in for it."""


class OpenCvCapture(Closing):
    """What an open ``cv2.VideoCapture`` gives.

    Args:
        capture: open.
        shown: what it reads, for people.
        backend: what decodes it, in words.
        losses: what a file should have had and did not give.
        endless: whether its end is a fault.
        timed: whether its times can be believed.
        clock: stamps the frames.
    """

    def __init__(
        self,
        capture: Any,
        shown: str,
        backend: str,
        losses: Losses,
        *,
        endless: bool,
        timed: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self._capture = capture
        self._timed = timed
        self._shown, self._losses, self._endless = shown, losses, endless
        self._clock = clock or MonotonicClock()
        self._count = 0
        self._start_seconds = 0.0
        self.backend = backend
        fps = float(capture.get(_FPS))
        self.nominal_fps = fps if 0 < fps <= 1000 else None
        count = capture.get(_FRAME_COUNT)
        self.expected_frames = int(count) if not endless and 0 < count < 1e9 else None

    def grab(self) -> Grabbed | None:
        """See ``Capture.grab``."""
        got: bool = self._capture.grab()
        started = self._clock.now()
        if got:
            got, bgr = self._capture.retrieve()
        arrival = self._clock.now()
        if not got:
            self._reckon()
            return None
        self._count += 1
        milliseconds = (arrival - started) * 1000
        return Grabbed(self._stated(), arrival, milliseconds, lambda: to_rgb(bgr, "BGR"))

    def close(self) -> None:
        """See ``Capture.close``."""
        self._capture.release()

    def _stated(self) -> float | None:
        """When the frame is shown, in seconds; None where nobody says."""
        seconds = self._capture.get(_POS_MSEC) / 1000
        # A camera that keeps no time says 0 for ever; a file's first frame is at 0.
        if not self._timed or (self._endless and seconds <= 0):
            return None
        if self._count == 1 and not self._endless:
            self._start_seconds = self._late_start(seconds)
        return float(seconds + self._start_seconds)

    def _late_start(self, seconds: float) -> float:
        """How late a file starts, which OpenCV tells in whole frames, beside its times."""
        frames = self._capture.get(_PTS)
        return max(0.0, frames / self.nominal_fps - seconds) if self.nominal_fps else 0.0

    def _reckon(self) -> None:
        """Take stock at the end, or say that there should have been none."""
        if self._endless:
            raise SourceError(f"{self._shown} gives no more frames. Is it still connected?")
        if not self._count:
            raise InputError(
                f"{self._shown} opens, but OpenCV decodes no frame of it: it is damaged, or its "
                "codec is not in OpenCV. backend=pyav has more."
            )
        missing = (self.expected_frames or 0) - self._count
        if missing > _MISSED_SHARE * self._count:
            self._losses.add(missing, "the file states more frames than OpenCV decodes")


def open_file(
    path: Path, losses: Losses, clock: Clock | None = None, open_video: OpenVideo | None = None
) -> OpenCvCapture:
    """A video file, by the FFmpeg in OpenCV.

    Against PyAV: a packet that does not decode may end it, AV1 is often missing, a start other
    than 0 is right to a frame only, mirroring is not undone, and what is missing is an estimate.

    Raises:
        InputError: it is missing, empty, or not a video.
        EnvironmentFault: OpenCV is not installed, or the file may not be read.
    """
    check_file(path)
    cv2 = require("cv2", "video")
    # An absolute path, so that no part of a name is taken for a protocol.
    capture = _opened(open_video, str(path.absolute()), cv2.CAP_FFMPEG)
    if capture is None:
        raise unreadable(path, "OpenCV does not take it")
    backend = f"FFmpeg through OpenCV {cv2.__version__}, software"
    # AVI stores the order of decoding only; times are even, and what is said of them a guess.
    timed = path.suffix.lower() != ".avi"
    return OpenCvCapture(
        capture, str(path), backend, losses, endless=False, timed=timed, clock=clock
    )


def open_camera(
    device: str,
    options: Options,
    losses: Losses,
    clock: Clock | None = None,
    open_video: OpenVideo | None = None,
) -> OpenCvCapture:
    """A camera of the operating system, by V4L2.

    Raises:
        EnvironmentFault: OpenCV is not installed, or the camera is absent, forbidden or in use.
    """
    if open_video is None:
        check_device(device)
    cv2 = require("cv2", "video")
    number = device.removeprefix("/dev/video")
    capture = _opened(open_video, int(number) if number.isdigit() else device, cv2.CAP_V4L2)
    if capture is None:
        raise EnvironmentFault(
            f"The camera {device} is there and does not open. Is another program using it? "
            f"fuser {device} tells which."
        )
    if options.format:
        capture.set(_FOURCC, cv2.VideoWriter_fourcc(*options.format))
    for prop, value in ((_WIDTH, options.width), (_HEIGHT, options.height), (_FPS, options.fps)):
        if value is not None:
            capture.set(prop, value)
    backend = f"V4L2 through OpenCV {cv2.__version__}, {_mode(capture)}"
    return OpenCvCapture(capture, device, backend, losses, endless=True, clock=clock)


def open_pipeline(
    pipeline: str,
    shown: str,
    losses: Losses,
    *,
    endless: bool,
    clock: Clock | None = None,
    open_video: OpenVideo | None = None,
) -> OpenCvCapture:
    """A pipeline of GStreamer whose frames are BGR, by an OpenCV that was built with GStreamer.

    Args:
        pipeline: ends in an ``appsink``.
        shown: the pipeline for people, without secrets.
        losses: what could not be used.
        endless: whether its end is a fault; OpenCV does not tell an end from an error.
        clock: stamps the frames.
        open_video: makes the ``cv2.VideoCapture``.

    Raises:
        EnvironmentFault: the pipeline does not start.
    """
    cv2 = require("cv2", "video")
    capture = _opened(open_video, pipeline, cv2.CAP_GSTREAMER)
    if capture is None:
        raise EnvironmentFault(
            f"GStreamer does not start this pipeline: {shown}. To see why: gst-launch-1.0 with it."
        )
    backend = f"GStreamer through OpenCV {cv2.__version__}: {shown}"
    # Its times are those of the pipeline's position, not the frame's: opencv/opencv#19025.
    return OpenCvCapture(
        capture, "The pipeline", backend, losses, endless=endless, timed=False, clock=clock
    )


def has_gstreamer() -> bool:
    """Whether OpenCV is here and was built with GStreamer."""
    try:
        information = require("cv2", "video").getBuildInformation()
    except EnvironmentFault:
        return False
    lines = [line.split(":") for line in information.splitlines() if "GStreamer:" in line]
    return any(value.strip().startswith("YES") for _, value, *_ in lines)


def check_device(device: str) -> None:
    """Refuse a camera that is not there or may not be used, before any library is asked.

    Raises:
        EnvironmentFault: so it is.
    """
    path = Path(device)
    if not path.exists():
        present = sorted(str(other) for other in Path("/dev").glob("video*"))
        there = f"There are: {', '.join(present)}." if present else "There is no camera at all."
        number = device.removeprefix("/dev/video")
        named = f"{number} ({device})" if number.isdigit() else device
        raise EnvironmentFault(f"There is no camera {named}. {there}")
    if not path.is_char_device():
        raise EnvironmentFault(f"{device} is no camera. Cameras are /dev/video0 and the like.")
    if not os.access(path, os.R_OK | os.W_OK):
        raise EnvironmentFault(
            f"The camera {device} may not be used. Join the group 'video' and log in again."
        )


def _opened(open_video: OpenVideo | None, target: str | int, api: int) -> Any:
    """An open capture, or None. OpenCV's own complaints may hold a password: it is silenced."""
    cv2 = require("cv2", "video")
    log = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging  # OpenCV 4; 5
    before = log.getLogLevel()
    log.setLogLevel(_SILENT)
    try:
        capture = (open_video or cv2.VideoCapture)(target, api)
    finally:
        log.setLogLevel(before)
    if capture.isOpened():
        return capture
    capture.release()
    return None


def _mode(capture: Any) -> str:
    code = int(capture.get(_FOURCC))
    letters = "".join(chr(code >> shift & 255) for shift in (0, 8, 16, 24))
    name = letters if letters.isalnum() and letters.isascii() else "raw"
    return f"{capture.get(_WIDTH):.0f}x{capture.get(_HEIGHT):.0f} {name}"
