"""A folder of pictures as a source, in the order of their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.closing import Closing
from effvit_edge.core.errors import InputError
from effvit_edge.core.optional import require
from effvit_edge.core.video import Losses
from effvit_edge.sources.base import Image
from effvit_edge.sources.capture import Grabbed
from effvit_edge.sources.rgb import to_rgb

PICTURE_SUFFIXES = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"))
"""By which endings pictures are known; in small letters, with the dot."""

DEFAULT_FPS = 25.0


class PicturesCapture(Closing):
    """Reads pictures at a steady rate. One that does not decode leaves a hole in time.

    Args:
        paths: in the order in which they are shown, at least one.
        fps: frames a second.
        losses: counts the pictures that do not decode.
        clock: stamps the frames.

    Raises:
        EnvironmentFault: OpenCV is not installed.
    """

    def __init__(
        self, paths: Sequence[Path], fps: float, losses: Losses, clock: Clock | None = None
    ) -> None:
        self._cv2 = require("cv2", "video")
        self._paths = list(paths)
        self._losses = losses
        self._clock = clock or MonotonicClock()
        self._next = 0
        self._given = False
        self.nominal_fps: float | None = fps
        self.expected_frames: int | None = len(self._paths)
        self.backend = f"pictures through OpenCV {self._cv2.__version__}"
        self._fps = fps

    def grab(self) -> Grabbed | None:
        """See ``Capture.grab``."""
        while self._next < len(self._paths):
            index, self._next = self._next, self._next + 1
            started = self._clock.now()
            bgr = self._decoded(self._paths[index])
            if bgr is None:
                self._losses.add(1, f"{self._paths[index].name} does not decode as a picture")
                continue
            self._given = True
            arrival = self._clock.now()
            load = partial(to_rgb, bgr, "BGR")
            return Grabbed(index / self._fps, arrival, (arrival - started) * 1000, load)
        if not self._given:
            raise InputError(
                f"None of the {len(self._paths)} pictures, {self._paths[0]} the first, can be read."
            )
        return None

    def close(self) -> None:
        """See ``Capture.close``."""
        self._next = len(self._paths)
        self._given = True

    def _decoded(self, path: Path) -> Image | None:
        """``(H, W, 3)`` BGR, turned as the camera says; None where it is no picture."""
        try:
            data = np.fromfile(path, np.uint8)
            bgr: Image | None = self._cv2.imdecode(data, self._cv2.IMREAD_COLOR)
        except (OSError, self._cv2.error):
            return None
        return bgr


def is_picture(path: Path) -> bool:
    """Whether a path has the name of a picture, and is a file that is not hidden."""
    return (
        path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def name_order(path: Path) -> tuple[tuple[int, int | str], ...]:
    """A key for sorting: numbers in a name count by their value, so that 9 is before 10."""
    parts = re.split(r"(\d+)", path.as_posix())
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in parts if part)
