"""Reading a whole video file for training: upright frames at the model's rate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from effvit_edge.core.errors import InputError
from effvit_edge.core.optional import require
from effvit_edge.core.sampling import RateSampler
from effvit_edge.data.types import Frames


def read_frames(path: Path, fps: float) -> Iterator[Frames]:
    """The frames of a video nearest to a time grid of ``fps``, turned upright.

    What decodes before an error is given; the error is raised only when nothing did.

    Args:
        path: a video file.
        fps: rate of the grid, frames a second. A slower video gives its own frames.

    Yields:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        InputError: no frame of the file can be decoded.
    """
    av = require("av", "video")
    sampler = RateSampler(fps)
    given = False
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path} has no video stream.")
            stream = container.streams.video[0]
            # No decoder threads: clips are decoded by several processes, and a process that is
            # forked while a decoder has threads can hang when it lets go of its copy.
            stream.thread_type = "NONE"
            for number, frame in enumerate(container.decode(stream)):
                seconds = frame.time
                if seconds is None:
                    seconds = number / float(stream.average_rate or fps)
                if sampler.take(seconds):
                    yield upright(frame.to_ndarray(format="rgb24"), frame.rotation)
                    given = True
    except (av.FFmpegError, OSError) as error:
        if not given:
            raise InputError(f"{path} cannot be decoded: {error}.") from error
    if not given:
        raise InputError(f"{path} has no frame that can be decoded.")


def upright(frame: Frames, rotation_degrees: int) -> Frames:
    """Turn a frame counterclockwise by its display rotation, a multiple of 90 degrees.

    Args:
        frame: ``(H, W, 3)`` as it is stored.
        rotation_degrees: as PyAV gives it; other angles are left alone.
    """
    if rotation_degrees % 90:
        return frame
    return np.ascontiguousarray(np.rot90(frame, rotation_degrees // 90))
