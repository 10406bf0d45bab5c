"""A film of procedural scenes with a known motion in every frame, to show a network at work."""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from effvit_edge.core.motion.patterns import (
    collage,
    dead_leaves,
    figures,
    random_outline,
    room,
)
from effvit_edge.core.motion.plane import Image, Plane, build_pyramid, random_offsets
from effvit_edge.core.motion.scene import Composition, Scene
from effvit_edge.core.motion.sprite import Sprite, cut_out
from effvit_edge.core.motion.trajectory import LABELS, Tiling, check_label
from effvit_edge.core.optional import require

_TEXTURE_PIXELS = 960
_SPRITE_PIXELS = 256
_SCENE_RATIO = 4
_OBJECT_RATIO = 3
_OBJECT_SMALLEST = 0.35
_SEGMENTS_PER_SCENE = 3
_SCENES: tuple[Composition, ...] = ("scene", "object", "scene")
_PICTURES = (dead_leaves, room, collage, figures)
_SIDES_PER_SECOND = 0.36
_BRIGHTNESS = 0.5
_MUTED = 0.6 * np.eye(3) + 0.4 * np.array([[0.299, 0.587, 0.114]])


class FilmFrame(NamedTuple):
    """One frame of a film and what is true about it."""

    image: Image
    """(H, W, 3) uint8 RGB."""

    label: str
    """The motion that led to this frame."""

    segment: int
    """Number of the stretch with this motion, from 0."""


def render_film(
    seed: int,
    image_hw: tuple[int, int] = (360, 480),
    fps: float = 30.0,
    segment_seconds: float = 3.0,
    labels: Sequence[str] | None = None,
) -> Iterator[FilmFrame]:
    """Yields a film that goes through motions in turn, cutting to a new scene every third one.

    Args:
        seed: fixes the film.
        image_hw: height and width of the frames in pixels.
        fps: frames per second; content moves 0.36 sides a second whatever it is.
        segment_seconds: how long each motion lasts.
        labels: the motions in order; None goes through all, shuffled.

    Raises:
        ValueError: on an unknown label.
    """
    rng = np.random.default_rng(seed)
    order = [str(label) for label in rng.permutation(LABELS)] if labels is None else list(labels)
    for label in order:
        check_label(label)
    num_frames = max(1, round(segment_seconds * fps))
    speed = _SIDES_PER_SECOND / fps
    for segment, label in enumerate(order):
        number, part = divmod(segment, _SEGMENTS_PER_SCENE)
        if part == 0:
            scene = _film_scene(rng, number)
        for image in scene.play(rng, label, speed, num_frames, image_hw):
            yield FilmFrame(image, label, segment)


def _film_scene(rng: np.random.Generator, number: int) -> Scene:
    """Draws the scene of a given number; its kind and picture follow the number."""
    composition = _SCENES[number % len(_SCENES)]
    picture = _PICTURES[number % len(_PICTURES)](rng, _TEXTURE_PIXELS)
    ground = Plane(
        pyramid=build_pyramid(_grade(picture)),
        pixels_per_unit=_TEXTURE_PIXELS,
        tiling=Tiling((2.0, 2.0), _SCENE_RATIO),
        offsets=random_offsets(rng, _TEXTURE_PIXELS),
        smooth=True,
    )
    pose = (cmath.rect(math.exp(rng.uniform(0.3, 0.7)), rng.uniform(-0.2, 0.2)), 0j)
    if composition == "scene":
        return Scene(composition, ground, pose)
    looks = tuple(_film_look(rng) for _ in range(2))
    sprite = Sprite(looks, _OBJECT_RATIO, _OBJECT_SMALLEST)
    turn = cmath.rect(rng.uniform(1.3, 1.8), rng.uniform(-0.5, 0.5))
    return Scene(composition, ground, pose, sprite, (turn, complex(*rng.uniform(-0.1, 0.1, 2))))


def _film_look(rng: np.random.Generator) -> tuple[Image, ...]:
    cv2 = require("cv2", "video")
    picture = dead_leaves(rng, 2 * _SPRITE_PIXELS)
    half = cv2.resize(picture, (_SPRITE_PIXELS, _SPRITE_PIXELS), interpolation=cv2.INTER_AREA)
    return cut_out(_grade(half), random_outline(rng, _SPRITE_PIXELS))


def _grade(picture: Image) -> Image:
    """Returns a picture with muted colours that uses the whole range, of middling brightness."""
    cv2 = require("cv2", "video")
    low, high = np.percentile(picture[::4, ::4], [1.0, 99.0])
    level = (float(picture.mean()) - low) / max(high - low, 1.0)
    gamma = math.log(_BRIGHTNESS) / math.log(min(max(level, 0.05), 0.95))
    ramp = np.clip((np.arange(256.0) - low) / max(high - low, 1.0), 0.0, 1.0)
    table = np.round(18.0 + 225.0 * ramp**gamma).astype(np.uint8)
    return np.asarray(cv2.transform(cv2.LUT(picture, table), _MUTED), dtype=np.uint8)
