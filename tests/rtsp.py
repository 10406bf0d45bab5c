"""A network camera on the loopback for the tests, which can be killed, held and started again."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import pytest

from tests.conftest import IN_CI

SYSTEM_PYTHON = (
    "/usr/bin/python3"  # has GStreamer's bindings, where Debian's packages are installed
)
SERVER = Path(__file__).with_name("rtsp_server.py")
PACKAGES = (
    "gir1.2-gst-rtsp-server-1.0 gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base "
    "gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly "
    "gstreamer1.0-libav python3-gi"
)
START_SECONDS = 60
WIDTH, HEIGHT, FPS = 160, 120, 30
BARS = [(255, 255, 255), (255, 255, 0), (0, 255, 255), (0, 255, 0), (255, 0, 255), (255, 0, 0)]
"""Colours of the picture's bars, from the left; each is a seventh of the width."""


class RtspCamera:
    """The server of ``rtsp_server.py``; started by its construction, on a free port.

    Args:
        credentials: a user and a password, or nothing.
    """

    def __init__(self, *credentials: str) -> None:
        self._credentials = credentials
        self.port = 0
        self.start()

    def start(self) -> None:
        """Start it, on the port that it had."""
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, SERVER, str(self.port), *self._credentials],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline() or 0)
        assert self.port, "the server does not start"

    def kill(self) -> None:
        """End it at once, as a camera whose power fails."""
        self._process.kill()
        self._process.wait(START_SECONDS)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def hold(self) -> None:
        """Let it send nothing, while its connections stay open."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """After ``hold``."""
        os.kill(self._process.pid, signal.SIGCONT)

    def url(self, path: str = "test", login: str = "", options: str = "") -> str:
        """The address of one of its streams: ``test``, ``sound``, or none of them."""
        return f"rtsp://{login}{'@' if login else ''}127.0.0.1:{self.port}/{path}{options}"


@contextmanager
def rtsp_camera(*credentials: str) -> Iterator[RtspCamera]:
    """A camera for the length of a block; skips the test where GStreamer is not installed.

    In CI it must be: a check that silently stops running is no check.
    """
    reason = _missing()
    if reason:
        if IN_CI:
            pytest.fail(reason)
        pytest.skip(reason)
    camera = RtspCamera(*credentials)
    try:
        yield camera
    finally:
        camera.kill()


@lru_cache(maxsize=1)
def _missing() -> str | None:
    needs = (
        "import gi; gi.require_version('GstRtspServer', '1.0'); "
        "from gi.repository import Gst; Gst.init(None); "
        "assert Gst.ElementFactory.find('x264enc')"
    )
    if not Path(SYSTEM_PYTHON).exists():
        return f"there is no {SYSTEM_PYTHON} to run GStreamer's RTSP server"
    done = subprocess.run([SYSTEM_PYTHON, "-c", needs], capture_output=True, check=False)
    return f"no RTSP server here: apt install {PACKAGES}" if done.returncode else None
