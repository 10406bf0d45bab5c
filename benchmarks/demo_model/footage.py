"""Pictures of real videos, and windows of known motion over them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from effvit_edge.core.errors import InputError
from effvit_edge.core.motion import LABELS, window_sequence
from effvit_edge.core.motion.plane import Image
from effvit_edge.core.sampling import RateSampler
from effvit_edge.sources import Frame, SourceError, open_source

FOLDERS = ("asl20", "odd_videos", "yoga6")
SPEEDS = (0.008, 0.02)
"""Of the side a frame; a rotation turns by 0.5 and 1.2 degrees (``ROTATION_RADIANS``)."""
SOURCE_FPS = 30.0
MIN_SIDE = 96
"""Smaller videos have no room for a window that moves."""

NOT_FOOTAGE = (
    *("testsrc", "smpte", "bt601", "bt709", "bt2020", "transparent"),
    *("corrupted", "av1_video", "h264_10bits", "h265_", "bitflips"),
)
"""Names among the odd videos that show test patterns or grey rubble; stripes, for one, do not show
motion along them."""
MIN_CONTRAST = 4.0
"""Standard deviation in grey levels; a black picture does not show motion either."""
EXCLUDED = {
    "names_starting_with": list(NOT_FOOTAGE),
    "short_side_below_pixels": MIN_SIDE,
    "contrast_below_grey_levels": MIN_CONTRAST,
    "unreadable": True,
}
"""What :func:`load_pictures` leaves out, for the record beside a result."""

_SUFFIXES = {".mkv", ".mp4", ".avi", ".webm", ".mov"}


@dataclass(frozen=True)
class Picture:
    """One frame of a real video."""

    name: str
    image: Image


def load_pictures(root: Path, *, every: int = 1) -> Iterator[Picture]:
    """The middle frame of each real video below ``root``, in order; unreadable ones are left out.

    Args:
        root: the folder that holds :data:`FOLDERS`.
        every: take only every n-th video.
    """
    for folder in FOLDERS:
        paths = sorted(p for p in (root / folder).rglob("*") if p.suffix in _SUFFIXES)
        paths = [p for p in paths if not p.name.startswith(NOT_FOOTAGE)]
        for path in paths[::every]:
            image = _middle_frame(path)
            if image is not None and _shows_something(image):
                yield Picture(path.relative_to(root).as_posix(), image)


def _shows_something(image: Image) -> bool:
    return min(image.shape[:2]) >= MIN_SIDE and float(image.std()) >= MIN_CONTRAST


def _middle_frame(path: Path) -> Image | None:
    images: list[Image] = []
    # A damaged file's frames up to the damage are good pictures too.
    with suppress(InputError, SourceError), open_source(str(path)) as source:
        while len(images) < 60:  # two seconds in is far enough
            frame = source.read()
            if not isinstance(frame, Frame):
                break
            images.append(frame.image)
    return images[len(images) // 2] if images else None


def sampled_window(
    picture: Picture, label: str, speed: float, seconds: float, size: int, fps: float
) -> Image:
    """What a model at ``fps`` sees of a window that moves at 30 frames a second.

    Args:
        picture: what the window moves over.
        label: of :data:`LABELS`.
        speed: of the side for each of the 30 frames a second.
        seconds: length.
        size: side of the frames in pixels.
        fps: the model's rate.

    Returns:
        (T, size, size, 3) uint8 frames, T about ``seconds * fps``.
    """
    rng = np.random.default_rng([LABELS.index(label), *picture.name.encode()])
    count = round(seconds * SOURCE_FPS)
    frames = window_sequence(picture.image, label, speed, count, size, rng)
    sampler = RateSampler(fps)
    return frames[[sampler.take(index / SOURCE_FPS) for index in range(count)]]
