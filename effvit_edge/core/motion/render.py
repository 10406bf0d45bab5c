"""Clips of procedural scenes whose apparent motion is known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from effvit_edge.core.motion.degrade import Clip, degrade, sharpness
from effvit_edge.core.motion.plane import Image
from effvit_edge.core.motion.scene import Composition, compose_scene
from effvit_edge.core.motion.textures import TextureBank
from effvit_edge.core.motion.trajectory import check_label

_COMPOSITIONS: tuple[Composition, ...] = ("scene", "object", "object_over_motion")
_COMPOSITION_SHARES = (0.65, 0.20, 0.15)
_SPEED_RANGE = (0.004, 0.06)
_ATTEMPTS = 4
_MIN_SHARPNESS = 0.4
_JUDGED_EVERY = 8


def render_sequence(
    bank: TextureBank,
    rng: np.random.Generator,
    segments: Sequence[tuple[str, int]],
    size: int,
    speed: float | None = None,
    *,
    composition: Composition | None = None,
    degraded: bool = True,
) -> Clip:
    """Renders one continuous scene whose motion changes at segment borders.

    The first frame of a segment has already moved by that segment's motion.

    Args:
        bank: where textures and outlines come from.
        rng: source of all randomness.
        segments: (label, number of frames) in order.
        size: side of the square frames in pixels.
        speed: see :func:`steady_velocity`; None draws one per segment, log-uniform between 0.4 %
            and 6 % a frame.
        composition: what carries the motion; None draws it.
        degraded: also apply what cameras and codecs do.

    Returns:
        (T, size, size, 3) uint8 frames.

    Raises:
        ValueError: on an unknown label, no segment, or a segment without frames.
    """
    if not segments:
        raise ValueError("a sequence needs at least one segment")
    for label, num_frames in segments:
        check_label(label)
        if num_frames < 1:
            raise ValueError(f"segment {label!r} has {num_frames} frames; it needs at least 1")
    if composition is None:
        composition = _COMPOSITIONS[int(rng.choice(3, p=_COMPOSITION_SHARES))]
    for _ in range(_ATTEMPTS):
        scene = compose_scene(bank, rng, composition, size)
        frames: list[Image] = []
        for label, num_frames in segments:
            pace = draw_speed(rng) if speed is None else speed
            frames.extend(scene.play(rng, label, pace, num_frames, (size, size)))
        if _shows_motion(frames):
            break
    clip = np.stack(frames)
    return degrade(rng, clip) if degraded else clip


def draw_speed(rng: np.random.Generator) -> float:
    """Returns a speed, log-uniform over the range that the network has to know."""
    low, high = _SPEED_RANGE
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _shows_motion(frames: Sequence[Image]) -> bool:
    """Says whether motion could be seen in all of a clip; an empty wall looks still."""
    judged = [*frames[::_JUDGED_EVERY], frames[-1]]
    return min(sharpness(frame) for frame in judged) * len(frames[0]) / 64.0 > _MIN_SHARPNESS
