"""Clips of procedural scenes whose apparent motion is known."""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from effvit_edge.core.motion.degrade import Clip, degrade
from effvit_edge.core.motion.plane import Image, Plane, random_offsets
from effvit_edge.core.motion.sprite import Sprite, cut_out
from effvit_edge.core.motion.textures import TextureBank, sharpness
from effvit_edge.core.motion.trajectory import (
    LABELS,
    Tiling,
    Velocity,
    check_label,
    integrate,
    natural_velocity,
    shake,
)
from effvit_edge.core.optional import require

Composition = Literal["scene", "object", "object_over_motion"]

_COMPOSITIONS: tuple[Composition, ...] = ("scene", "object", "object_over_motion")
_COMPOSITION_SHARES = (0.65, 0.20, 0.15)
_SPEED_RANGE = (0.004, 0.06)
_MIN_SHARPNESS = 1.0
_ATTEMPTS = 4
_SCENE_RATIO = 8
_OBJECT_RATIO = 3
_OBJECT_SMALLEST = 0.3


@dataclass(frozen=True)
class Scene:
    """What a clip shows, and where it stands before its first frame.

    Attributes:
        ground: the whole picture, or what lies behind the object.
        ground_pose: its linear part and shift.
        sprite: the object, if there is one.
        sprite_pose: its linear part and place.
    """

    ground: Plane
    ground_pose: tuple[complex, complex]
    sprite: Sprite | None
    sprite_pose: tuple[complex, complex]


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
        composition: whole scene, object over a still ground, or object over a ground that moves
            otherwise and slower; None draws one.
        degraded: also apply what cameras and codecs do.

    Returns:
        (T, size, size, 3) uint8 frames.

    Raises:
        ValueError: on an unknown label or a segment without frames.
    """
    for label, num_frames in segments:
        check_label(label)
        if num_frames < 1:
            raise ValueError(f"segment {label!r} has {num_frames} frames; it needs at least 1")
    if composition is None:
        composition = _COMPOSITIONS[int(rng.choice(3, p=_COMPOSITION_SHARES))]
    scene = compose_scene(bank, rng, composition, size)
    speeds = [draw_speed(rng) if speed is None else speed for _ in segments]
    frames = np.stack(list(_scene_frames(rng, scene, composition, segments, speeds, size)))
    return degrade(rng, frames) if degraded else frames


def draw_speed(rng: np.random.Generator) -> float:
    """Returns a speed, log-uniform over the range that the network has to know."""
    low, high = _SPEED_RANGE
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def compose_scene(
    bank: TextureBank, rng: np.random.Generator, composition: Composition, size: int
) -> Scene:
    """Draws a scene in which there is something to see; ``size`` is the side in pixels."""
    for _ in range(_ATTEMPTS):
        ground = _random_plane(bank, rng, size)
        pose = (_random_linear(rng, _SCENE_RATIO), 0j)
        if sharpness(ground.render(*pose, size, size)) * size / 64.0 > _MIN_SHARPNESS:
            break
    if composition == "scene":
        return Scene(ground, pose, None, (1 + 0j, 0j))
    sprite = _random_sprite(bank, rng, size)
    place = complex(*rng.uniform(-1.0, 1.0, 2))
    return Scene(ground, pose, sprite, (_random_linear(rng, _OBJECT_RATIO), place))


def _random_plane(bank: TextureBank, rng: np.random.Generator, size: int) -> Plane:
    finest_step = math.exp(rng.uniform(math.log(0.25), math.log(1.2)))
    pixels_per_unit = finest_step * _SCENE_RATIO * size
    return Plane(
        pyramid=bank.sample(rng),
        pixels_per_unit=pixels_per_unit,
        tiling=Tiling(period=2.0 * bank.size / pixels_per_unit, ratio=_SCENE_RATIO),
        offsets=random_offsets(rng, bank.size),
        level_bias=rng.uniform(-0.9, 0.4),
    )


def _random_sprite(bank: TextureBank, rng: np.random.Generator, size: int) -> Sprite:
    pixels = 2 ** math.ceil(math.log2(0.9 * size))
    looks = tuple(_random_look(bank, rng, pixels) for _ in range(2))
    return Sprite(looks, _OBJECT_RATIO, _OBJECT_SMALLEST)


def _random_look(bank: TextureBank, rng: np.random.Generator, pixels: int) -> tuple[Image, ...]:
    """Cuts a form from a random part, at a random scale, of a random texture."""
    cv2 = require("cv2", "video")
    outline = cv2.resize(bank.sample_outline(rng), (pixels, pixels), interpolation=cv2.INTER_AREA)
    for _ in range(_ATTEMPTS):
        source = bank.sample(rng)[0]
        length = min(int(pixels * math.exp(rng.uniform(-1.0, 1.5))), source.shape[0])
        x, y = (int(v) for v in rng.integers(0, source.shape[0] - length + 1, 2))
        part = source[y : y + length, x : x + length]
        method = cv2.INTER_AREA if length > pixels else cv2.INTER_LINEAR
        picture = cv2.resize(part, (pixels, pixels), interpolation=method)
        if sharpness(picture) > _MIN_SHARPNESS:
            break
    return cut_out(picture, outline)


def _random_linear(rng: np.random.Generator, ratio: int) -> complex:
    """Returns any angle and, evenly on a logarithmic axis, any scale of one generation."""
    scale = math.exp(rng.uniform(0.0, math.log(ratio)))
    return cmath.rect(scale, rng.uniform(-math.pi, math.pi))


def _scene_frames(
    rng: np.random.Generator,
    scene: Scene,
    composition: Composition,
    segments: Iterable[tuple[str, int]],
    speeds: Iterable[float],
    size: int,
) -> Iterator[Image]:
    ground_pose, sprite_pose = scene.ground_pose, scene.sprite_pose
    for (label, num_frames), speed in zip(segments, speeds, strict=True):
        main = natural_velocity(rng, label, speed, num_frames)
        ground = _ground_velocity(rng, composition, label, speed, main)
        linears, shifts = integrate(*ground_pose, ground, scene.ground.tiling)
        ground_pose = complex(linears[-1]), complex(shifts[-1])
        wander = shake(rng, num_frames)
        ground_path = zip(linears.tolist(), (shifts + wander).tolist(), strict=True)
        if scene.sprite is None:
            for linear, shift in ground_path:
                yield scene.ground.render(linear, shift, size, size)
            continue
        turns, places = integrate(*sprite_pose, main, about_itself=True)
        sprite_pose = complex(turns[-1]), complex(places[-1])
        sprite_path = zip(turns.tolist(), (places + wander).tolist(), strict=True)
        for (linear, shift), (turn, place) in zip(ground_path, sprite_path, strict=True):
            yield scene.sprite.draw(scene.ground.render(linear, shift, size, size), turn, place)


def _ground_velocity(
    rng: np.random.Generator, composition: Composition, label: str, speed: float, main: Velocity
) -> Velocity:
    """Returns how the whole picture moves: as labelled, not at all, or otherwise and slower."""
    if composition == "scene":
        return main
    num_frames = len(main.drift)
    other = LABELS[int(rng.integers(len(LABELS)))]
    share = rng.uniform(0.1, 1.0 / 3.0)
    if composition == "object" or label == "still" or other == label:
        other = "still"
    return natural_velocity(rng, other, speed * share, num_frames)
