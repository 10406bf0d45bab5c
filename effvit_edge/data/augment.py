"""Augmentation of a clip: drawn once, applied alike to all of its frames."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from effvit_edge.core.card import Preprocess
from effvit_edge.core.optional import require
from effvit_edge.core.preprocess import scale_to_input
from effvit_edge.data.borrowed import BorrowedTransforms
from effvit_edge.data.types import Frames

_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_CROP_ATTEMPTS = 10


@dataclass(frozen=True)
class Augmentation:
    """Ranges that a clip's augmentation is drawn from; see the recipe's ``augment`` section."""

    scale: tuple[float, float] = (1.0, 1.0)
    aspect: tuple[float, float] = (1.0, 1.0)
    flip: float = 0.0
    color: float = 0.0
    speed: tuple[float, float] = (1.0, 1.0)
    randaugment: tuple[int, ...] = ()
    erase: float = 0.0


class ClipAugmenter:
    """Augments clips as an :class:`Augmentation` says, and scales them to the model's input.

    Args:
        spec: the model's input, and how a frame becomes it.
        chosen: what clips may become.

    Raises:
        EnvironmentFault: RandAugment or erasing is asked for and torchvision cannot be imported.
    """

    def __init__(self, spec: Preprocess, chosen: Augmentation) -> None:
        self._spec = spec
        self._chosen = chosen
        self._borrowed: BorrowedTransforms | None = None
        if chosen.randaugment or chosen.erase:
            self._borrowed = BorrowedTransforms(spec.mean, chosen.randaugment, chosen.erase)

    def __call__(self, frames: Frames, rng: np.random.Generator) -> Frames:
        """``(T, H, W, 3)`` uint8 to ``(T, h, w, 3)`` of the model's size."""
        chosen = self._chosen
        draw = draw_augmentation(
            rng,
            (frames.shape[1], frames.shape[2]),
            self._spec,
            scale=chosen.scale,
            aspect=chosen.aspect,
            flip=chosen.flip,
            color=chosen.color,
        )
        clip = np.stack([draw.apply(frame, self._spec) for frame in frames])
        return clip if self._borrowed is None else self._borrowed(clip, rng)


@dataclass(frozen=True)
class ClipAugmentation:
    """What is done to every frame of one clip."""

    top: int
    left: int
    crop_height: int
    crop_width: int
    mirrored: bool
    color_matrix: tuple[tuple[float, float, float, float], ...]
    """3x4: RGB in 0..255 and 1 to RGB."""

    def apply(self, frame: Frames, spec: Preprocess) -> Frames:
        """Crop, mirror, recolour and scale one ``(H, W, 3)`` frame to the input of ``spec``."""
        rows = slice(self.top, self.top + self.crop_height)
        columns = slice(self.left, self.left + self.crop_width)
        box = frame[rows, columns]
        if spec.resize == "letterbox":  # before the bars are there: they keep their colour
            return scale_to_input(self._mirror_and_recolor(box), spec)
        return self._mirror_and_recolor(scale_to_input(box, spec))

    def _mirror_and_recolor(self, frame: Frames) -> Frames:
        cv2 = require("cv2", "video")
        matrix = np.array(self.color_matrix, dtype=np.float32)
        turned = frame[:, ::-1] if self.mirrored else frame
        recolored: Frames = cv2.transform(np.ascontiguousarray(turned), matrix)
        return recolored


def draw_augmentation(
    rng: np.random.Generator,
    frame_hw: tuple[int, int],
    spec: Preprocess,
    *,
    scale: tuple[float, float],
    aspect: tuple[float, float],
    flip: float,
    color: float,
) -> ClipAugmentation:
    """Draw one clip's augmentation.

    Args:
        rng: the clip's own.
        frame_hw: the source frames' height and width, pixels.
        spec: the model's input, and how a frame becomes it.
        scale: range of the crop's area, as a share of the frame's.
        aspect: range of the crop's shape, relative to the picture that the model is shown when
            nothing is augmented: the input's shape for ``short_side``, else the whole frame's.
        flip: probability of mirroring.
        color: strength of brightness, contrast and saturation change; 0 changes nothing.
    """
    shown_hw = (spec.height, spec.width) if spec.resize == "short_side" else frame_hw
    top, left, height, width = _draw_crop(rng, frame_hw, shown_hw, scale, aspect)
    mirrored = bool(rng.random() < flip)
    return ClipAugmentation(top, left, height, width, mirrored, _draw_color(rng, color))


def _draw_crop(
    rng: np.random.Generator,
    frame_hw: tuple[int, int],
    shown_hw: tuple[int, int],
    scale: tuple[float, float],
    aspect: tuple[float, float],
) -> tuple[int, int, int, int]:
    """Top, left, height and width of a crop, pixels."""
    frame_height, frame_width = frame_hw
    shown_ratio = shown_hw[1] / shown_hw[0]
    for _ in range(_CROP_ATTEMPTS):
        area = rng.uniform(*scale) * frame_height * frame_width
        ratio = shown_ratio * math.exp(rng.uniform(math.log(aspect[0]), math.log(aspect[1])))
        height, width = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        if 0 < height <= frame_height and 0 < width <= frame_width:
            top = int(rng.integers(frame_height - height + 1))
            left = int(rng.integers(frame_width - width + 1))
            return top, left, height, width
    # No such box fits: the largest centred one of the shown shape.
    height = max(1, min(frame_height, round(frame_width / shown_ratio)))
    width = max(1, min(frame_width, round(frame_height * shown_ratio)))
    return (frame_height - height) // 2, (frame_width - width) // 2, height, width


def _draw_color(
    rng: np.random.Generator, strength: float
) -> tuple[tuple[float, float, float, float], ...]:
    """Saturation, contrast about middle grey and brightness, as one affine map of RGB."""
    brightness, contrast, saturation = 1 + strength * rng.uniform(-1, 1, 3)
    mix = saturation * np.eye(3) + (1 - saturation) * _GREY[None]
    matrix = brightness * contrast * mix
    offset = 128 * (1 - contrast) * brightness
    rows = np.concatenate([matrix, np.full((3, 1), offset)], axis=1)
    first, second, third = (tuple(float(x) for x in row) for row in rows)
    return first, second, third  # type: ignore[return-value]
