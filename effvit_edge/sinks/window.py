"""Windows on this machine's screen, through OpenCV: one a source."""

from __future__ import annotations

import os
import platform
import re
import threading
from typing import Any

import numpy as np

from effvit_edge.core.errors import EdgeError, EnvironmentFault
from effvit_edge.core.optional import require
from effvit_edge.sinks.base import Image

_ESC = 27
_KEYS = (_ESC, ord("q"), ord("Q"))
_GUI = re.compile(r"^\s*GUI:\s*(\S+)", re.MULTILINE)


def why_no_window(cv2: Any = None) -> str | None:
    """Why no window can be opened here, as a clause; None where one can."""
    cv2 = cv2 or require("cv2", "video")
    if platform.system() == "Linux" and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return "there is no display (DISPLAY is not set)"
    toolkit = _GUI.search(cv2.getBuildInformation())
    if toolkit is None or toolkit[1] == "NONE":
        return "this OpenCV is built without windows (the headless wheel)"
    return None


class WindowSink:
    """Shows the newest picture of each source.

    Pictures come from any thread; ``pump`` is called often from the main one, which is the only
    one that may touch windows.

    Args:
        cv2: stands in for OpenCV.

    Raises:
        EnvironmentFault: no window can be opened here.
    """

    def __init__(self, cv2: Any = None) -> None:
        self._cv2 = cv2 or require("cv2", "video")
        why = why_no_window(self._cv2)
        if why:
            raise EnvironmentFault(f"No window can be opened: {why}. Leave --window out.")
        self._lock = threading.Lock()
        self._newest: dict[str, Image] = {}
        self._ended: set[str] = set()
        self._open: set[str] = set()

    def show(self, name: str, image: Image) -> None:
        """This is the newest picture ``(H, W, 3)`` uint8 RGB of that source."""
        with self._lock:
            self._newest[name] = image
            self._ended.discard(name)

    def forget(self, name: str) -> None:
        """That source has ended: its window goes with the next ``pump``."""
        with self._lock:
            self._ended.add(name)

    def pump(self) -> bool:
        """Draw what is new and hear the keyboard.

        Returns:
            Whether the user wants to end: Esc, q, or a window was closed.

        Raises:
            EnvironmentFault: the display went away.
        """
        with self._lock:
            newest, self._newest = self._newest, {}
            ended, self._ended = self._ended, set()
        try:
            for name in ended & self._open:
                self._cv2.destroyWindow(name)
                self._open.discard(name)
            closed = {name for name in self._open if not self._is_visible(name)}
            self._open -= closed
            for name, image in newest.items():
                if name not in ended:
                    self._draw(name, image)
            key = self._cv2.waitKey(1) & 0xFF if self._open else -1
        except self._cv2.error as error:
            raise EnvironmentFault(
                f"The window cannot be shown: {str(error).strip().splitlines()[-1]}"
            ) from error
        return bool(closed) or key in _KEYS

    def close(self) -> None:
        """Close all windows. Closing twice is allowed."""
        for name in self._open:
            try:
                self._cv2.destroyWindow(name)
            except self._cv2.error as error:
                raise EdgeError(f"The window of {name} could not be closed.") from error
        self._open.clear()

    def _draw(self, name: str, image: Image) -> None:
        if name not in self._open:
            # Without Qt's bar of buttons, which takes a strip of the picture's place.
            plain = self._cv2.WINDOW_NORMAL | self._cv2.WINDOW_GUI_NORMAL
            self._cv2.namedWindow(name, plain | self._cv2.WINDOW_KEEPRATIO)
            self._cv2.resizeWindow(name, image.shape[1], image.shape[0])
            self._open.add(name)
        self._cv2.imshow(name, np.ascontiguousarray(image[..., ::-1]))

    def _is_visible(self, name: str) -> bool:
        return bool(self._cv2.getWindowProperty(name, self._cv2.WND_PROP_VISIBLE) >= 1)
