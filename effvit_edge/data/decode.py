"""Reading a whole video file for training: its frames at the model's rate, as serving sees them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from effvit_edge.core.errors import EnvironmentFault, InputError
from effvit_edge.core.sampling import RateSampler
from effvit_edge.core.video import BrokenOff, Losses, VideoReader, check_file
from effvit_edge.data.types import Frames


class VideoFrames:
    """The frames of a video nearest to a time grid, turned upright; decoded while they are read.

    What decodes is given, and ``losses`` says at the end what did not.

    Args:
        path: a video file.
        fps: rate of the grid, frames a second. A slower video gives its own frames.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self.losses = Losses()
        """Of the file's own frames, by the last time that it was read."""
        self._path = path
        self._fps = fps

    def __iter__(self) -> Iterator[Frames]:
        """Decode from the start.

        Yields:
            ``(H, W, 3)`` uint8 RGB.

        Raises:
            InputError: the file may not be read, is encrypted, or has no frame that decodes.
            EnvironmentFault: PyAV is not installed.
        """
        sampler = RateSampler(self._fps)
        try:
            check_file(self._path)
        except EnvironmentFault as error:  # one file of many, which can do without it
            raise InputError(str(error)) from error
        # No decoder threads: clips are decoded by several processes, and a process that is
        # forked while a decoder has threads can hang when it lets go of its copy.
        with VideoReader(self._path, threads=False) as reader:
            self.losses = reader.losses
            with contextlib.suppress(BrokenOff):  # the losses tell
                while (picture := reader.read()) is not None:
                    if sampler.take(picture.pts_seconds):
                        yield picture.to_rgb()


def read_frames(path: Path, fps: float) -> VideoFrames:
    """See :class:`VideoFrames`."""
    return VideoFrames(path, fps)
