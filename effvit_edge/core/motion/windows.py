"""A window moved, zoomed and turned over a given picture, to judge a network on real footage."""

from __future__ import annotations

import math

import numpy as np

from effvit_edge.core.motion.degrade import Clip
from effvit_edge.core.motion.plane import Image, Plane, build_pyramid
from effvit_edge.core.motion.trajectory import Tiling, integrate, steady_velocity

_INSIDE_FRAMES = 48
_ZOOM_RATIO = 4
_LARGEST_START = 3.2
_LEVEL_BIAS = -0.3


def window_sequence(
    picture: Image,
    label: str,
    speed: float,
    num_frames: int,
    size: int,
    rng: np.random.Generator | None = None,
) -> Clip:
    """Shows a picture through a square window that makes it appear to move as labelled.

    The motion is exact. The window stays inside the picture for 48 frames, at speeds up to 2 % of
    the side a frame; after that the picture is continued by its mirror images, and when a zoom has
    gone 4 times it fades into the same picture at its first scale, so that motion never ends.

    Args:
        picture: (H, W, 3) uint8.
        label: one of :data:`LABELS`.
        speed: see :func:`steady_velocity`.
        num_frames: T; the first frame is the start, before any motion.
        size: side of the frames in pixels.
        rng: places the window at random where there is room; None places it in the middle.

    Returns:
        (T, size, size, 3) uint8 frames.

    Raises:
        ValueError: if the picture is not (H, W, 3) uint8, or the label is unknown.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise ValueError(f"a picture must be (H, W, 3) uint8, not {picture.shape} {picture.dtype}")
    velocity = steady_velocity(label, speed, num_frames)
    velocity.drift[:1] = velocity.growth[:1] = 0.0
    height, width = picture.shape[:2]
    shorter = min(height, width)
    scale = _start_scale(label, speed)
    offset = _start_place(label, speed, shorter / scale, (height, width), rng)
    plane = Plane(
        pyramid=build_pyramid(np.ascontiguousarray(picture)),
        pixels_per_unit=shorter,
        tiling=Tiling((2.0 * width / shorter, 2.0 * height / shorter), _ZOOM_RATIO),
        offsets=(offset,),
        level_bias=_LEVEL_BIAS,
        smooth=True,
    )
    linears, shifts = integrate(complex(scale), 0j, velocity, plane.tiling)
    poses = zip(linears.tolist(), shifts.tolist(), strict=True)
    return np.stack([plane.render(linear, shift, size, size) for linear, shift in poses])


def _start_scale(label: str, speed: float) -> float:
    """Returns the picture's shorter side over the window's side in the first frame."""
    travel = speed * _INSIDE_FRAMES
    if label == "closer":
        return 1.0
    if label == "farther":
        return min(math.exp(travel), _LARGEST_START)
    if label in ("left", "right", "up", "down"):
        return min(1.0 + travel, _LARGEST_START)
    return math.sqrt(2.0)


def _start_place(
    label: str,
    speed: float,
    window: float,
    picture_hw: tuple[int, int],
    rng: np.random.Generator | None,
) -> complex:
    """Returns the window's first centre in picture pixels."""
    height, width = picture_hw
    travel = complex(steady_velocity(label, speed, 1).drift[0]) * _INSIDE_FRAMES * window
    across, down = (0.0, 0.0) if rng is None else rng.uniform(-0.5, 0.5, 2)
    reach = window
    if label in ("clockwise", "counterclockwise"):
        reach = math.sqrt(2.0) * window
    elif label == "farther":
        reach = min(height, width)
    room_x = max(width - reach - abs(travel.real), 0.0)
    room_y = max(height - reach - abs(travel.imag), 0.0)
    middle = complex(width / 2.0 + across * room_x, height / 2.0 + down * room_y)
    return middle + travel / 2.0
