"""A scene: a ground, perhaps an object before it, and where both stand at the moment."""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from effvit_edge.core.motion.plane import Image, Plane, random_offsets
from effvit_edge.core.motion.sprite import Sprite, cut_out
from effvit_edge.core.motion.textures import TextureBank
from effvit_edge.core.motion.trajectory import (
    LABELS,
    Tiling,
    Velocity,
    integrate,
    natural_velocity,
    shake,
)
from effvit_edge.core.optional import require

Composition = Literal["scene", "object", "object_over_motion"]
"""The whole scene moves; an object over a still ground; an object over a ground that moves
otherwise and slower."""

_SCENE_RATIO = 8
_OBJECT_RATIO = 3
_OBJECT_SMALLEST = 0.3


@dataclass
class Scene:
    """What a clip shows; playing it moves it on.

    Attributes:
        composition: what carries the labelled motion.
        ground: the whole picture, or what lies behind the object.
        ground_pose: its linear part and shift.
        sprite: the object; None when the whole scene moves.
        sprite_pose: its linear part and place.
    """

    composition: Composition
    ground: Plane
    ground_pose: tuple[complex, complex]
    sprite: Sprite | None = None
    sprite_pose: tuple[complex, complex] = (1 + 0j, 0j)

    def play(
        self,
        rng: np.random.Generator,
        label: str,
        speed: float,
        num_frames: int,
        image_hw: tuple[int, int],
    ) -> Iterator[Image]:
        """Yields the next frames, (H, W, 3) uint8, each moved on from the one before."""
        main = natural_velocity(rng, label, speed, num_frames)
        behind = self._ground_velocity(rng, label, speed, main)
        wander = shake(rng, num_frames)
        linears, shifts = integrate(*self.ground_pose, behind, self.ground.tiling)
        turns, places = integrate(*self.sprite_pose, main, about_itself=True)
        for index in range(num_frames):
            self.ground_pose = complex(linears[index]), complex(shifts[index])
            self.sprite_pose = complex(turns[index]), complex(places[index])
            yield self.view(image_hw, complex(wander[index]))

    def view(self, image_hw: tuple[int, int], wander: complex = 0j) -> Image:
        """Returns the scene as it stands, shifted as a whole by ``wander`` sides."""
        linear, shift = self.ground_pose
        frame = self.ground.render(linear, shift + wander, *image_hw)
        if self.sprite is not None:
            turn, place = self.sprite_pose
            self.sprite.draw(frame, turn, place + wander)
        return frame

    def _ground_velocity(
        self, rng: np.random.Generator, label: str, speed: float, main: Velocity
    ) -> Velocity:
        if self.composition == "scene":
            return main
        other = LABELS[int(rng.integers(len(LABELS)))]
        share = rng.uniform(0.1, 1.0 / 3.0)
        if self.composition == "object" or label == "still" or other == label:
            other = "still"
        return natural_velocity(rng, other, speed * share, len(main.drift))


def compose_scene(
    bank: TextureBank, rng: np.random.Generator, composition: Composition, side: int
) -> Scene:
    """Draws a scene.

    Places, angles and, on a logarithmic axis, scales are uniform, so that no single frame tells
    how the scene moves.

    Args:
        bank: where textures and outlines come from.
        rng: source of all randomness.
        composition: what carries the labelled motion.
        side: shorter side of the frames in pixels, to which the detail is matched.
    """
    ground = _random_plane(bank, rng, side)
    pose = (_random_linear(rng, _SCENE_RATIO), 0j)
    if composition == "scene":
        return Scene(composition, ground, pose)
    pixels = 2 ** math.ceil(math.log2(0.9 * side))
    looks = tuple(_random_look(bank, rng, pixels) for _ in range(2))
    sprite = Sprite(looks, _OBJECT_RATIO, _OBJECT_SMALLEST)
    place = complex(*rng.uniform(-1.0, 1.0, 2))
    return Scene(composition, ground, pose, sprite, (_random_linear(rng, _OBJECT_RATIO), place))


def _random_plane(bank: TextureBank, rng: np.random.Generator, side: int) -> Plane:
    """Lays out a texture so that its pixels are 1/4 to 1.2 frame pixels where it is nearest."""
    finest_step = math.exp(rng.uniform(math.log(0.25), math.log(1.2)))
    pixels_per_unit = min(finest_step * _SCENE_RATIO * side, 1.2 * bank.size)
    period = 2.0 * bank.size / pixels_per_unit
    return Plane(
        pyramid=bank.sample(rng),
        pixels_per_unit=pixels_per_unit,
        tiling=Tiling((period, period), _SCENE_RATIO),
        offsets=random_offsets(rng, bank.size),
        level_bias=rng.uniform(-0.9, 0.4),
    )


def _random_look(bank: TextureBank, rng: np.random.Generator, pixels: int) -> tuple[Image, ...]:
    """Cuts a form from a random part, at a random scale, of a random texture."""
    cv2 = require("cv2", "video")
    outline = cv2.resize(bank.sample_outline(rng), (pixels, pixels), interpolation=cv2.INTER_AREA)
    source = bank.sample(rng)[0]
    length = min(int(pixels * math.exp(rng.uniform(-1.0, 1.5))), source.shape[0])
    x, y = (int(v) for v in rng.integers(0, source.shape[0] - length + 1, 2))
    part = source[y : y + length, x : x + length]
    method = cv2.INTER_AREA if length > pixels else cv2.INTER_LINEAR
    return cut_out(cv2.resize(part, (pixels, pixels), interpolation=method), outline)


def _random_linear(rng: np.random.Generator, ratio: int) -> complex:
    """Returns any angle and, evenly on a logarithmic axis, any scale of one generation."""
    scale = math.exp(rng.uniform(0.0, math.log(ratio)))
    return cmath.rect(scale, rng.uniform(-math.pi, math.pi))
