"""A folder of numbered pictures as a strip."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from effvit_edge.core.errors import InputError
from effvit_edge.core.optional import require
from effvit_edge.core.video import Losses
from effvit_edge.data.footage.strip import Shown
from effvit_edge.data.segments import FrameFolders
from effvit_edge.data.types import Frames


class FrameStrip:
    """See :class:`effvit_edge.data.footage.strip.Strip`.

    A number that is missing between others is a picture lost; the others keep their times.

    Args:
        folder: of one video's frames.
        storage: how they are named, and the rate that they were taken at.

    Raises:
        InputError: no such folder, or no frame in it.
    """

    def __init__(self, folder: Path, storage: FrameFolders) -> None:
        self.losses = Losses()
        self._folder = folder
        self._storage = storage
        self._numbers = _list_numbers(folder, storage)
        self._position = 0
        missing = self._numbers[-1] - storage.first + 1 - len(self._numbers)
        if missing:
            self.losses.add(missing, "numbers are missing")

    def duration_s(self) -> float:
        """Up to the end of the last frame."""
        return self._seconds(self._numbers[-1]) + 1 / self._storage.fps

    def go_to(self, seconds: float) -> None:
        """See ``Strip.go_to``."""
        before = [i for i, number in enumerate(self._numbers) if self._seconds(number) <= seconds]
        self._position = before[-1] if before else 0

    def gains(self, now: float, seconds: float) -> bool:
        """See ``Strip.gains``."""
        return seconds > now

    def read(self) -> Shown | None:
        """See ``Strip.read``."""
        if self._position >= len(self._numbers):
            return None
        number = self._numbers[self._position]
        self._position += 1
        path = self._folder / self._storage.pattern.format(number)
        return Shown(self._seconds(number), partial(read_picture, path))

    def close(self) -> None:
        """See ``Strip.close``."""
        self._position = len(self._numbers)

    def _seconds(self, number: int) -> float:
        return (number - self._storage.first) / self._storage.fps


def read_picture(path: Path) -> Frames:
    """``(H, W, 3)`` uint8 RGB of a picture file, turned upright as it says.

    Raises:
        InputError: it cannot be read.
    """
    cv2 = require("cv2", "video")
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(f"{path} cannot be read as a picture. Extract or copy it again.")
    rgb: Frames = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return rgb


def _list_numbers(folder: Path, storage: FrameFolders) -> list[int]:
    """The numbers of the frames in a folder, in order."""
    if not folder.is_dir():
        raise InputError(f"There is no folder of frames {folder}.")
    before, after = re.split(r"{.*?}", storage.pattern, maxsplit=1)
    name = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    found = (name.fullmatch(path.name) for path in folder.iterdir())
    numbers = sorted(int(match[1]) for match in found if match)
    numbers = [number for number in numbers if number >= storage.first]
    if not numbers:
        example = storage.pattern.format(storage.first)
        raise InputError(f"{folder} has no frame such as {example}.")
    return numbers
