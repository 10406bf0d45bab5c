"""A bank of procedural textures with natural statistics, and of outlines to cut objects from."""

from __future__ import annotations

import math

import numpy as np

from effvit_edge.core.motion.patterns import PATTERNS, random_outline
from effvit_edge.core.motion.plane import Image, build_pyramid
from effvit_edge.core.optional import require

_OUTLINE_PIXELS = 128
_WEIGHTS = np.array([weight for _, weight in PATTERNS])


class TextureBank:
    """Textures made when first asked for, the same for the same seed.

    Attributes:
        size: side of the square textures in pixels.
    """

    def __init__(self, seed: int, count: int = 200, size: int = 512) -> None:
        """Prepares a bank; nothing is drawn yet.

        Args:
            seed: fixes every texture.
            count: how many textures and how many outlines it holds.
            size: side of a texture in pixels.

        Raises:
            ValueError: if ``count`` or ``size`` is too small.
        """
        if count < 1 or size < 32:
            raise ValueError(
                f"a texture bank needs count >= 1 and size >= 32, not {count} and {size}"
            )
        self.size = size
        self._seed = seed
        self._pyramids: list[tuple[Image, ...] | None] = [None] * count
        self._outlines: list[Image | None] = [None] * count

    def __len__(self) -> int:
        return len(self._pyramids)

    def sample(self, rng: np.random.Generator) -> tuple[Image, ...]:
        """Returns the pyramid of a random texture, finest level first, (size, size, 3) uint8."""
        return self.texture(int(rng.integers(len(self))))

    def sample_outline(self, rng: np.random.Generator) -> Image:
        """Returns a random outline as (128, 128) uint8 coverage, within the inscribed circle."""
        return self.outline(int(rng.integers(len(self))))

    def texture(self, index: int) -> tuple[Image, ...]:
        """Returns the pyramid of one texture; do not write into it."""
        pyramid = self._pyramids[index]
        if pyramid is None:
            rng = np.random.default_rng([self._seed, 0, index])
            kind = int(rng.choice(len(PATTERNS), p=_WEIGHTS / _WEIGHTS.sum()))
            pyramid = build_pyramid(_photograph(rng, PATTERNS[kind][0](rng, self.size)))
            self._pyramids[index] = pyramid
        return pyramid

    def outline(self, index: int) -> Image:
        """Returns one outline; do not write into it."""
        outline = self._outlines[index]
        if outline is None:
            rng = np.random.default_rng([self._seed, 1, index])
            outline = random_outline(rng, _OUTLINE_PIXELS)
            self._outlines[index] = outline
        return outline


def _photograph(rng: np.random.Generator, picture: Image) -> Image:
    """Returns a picture with the grain and coding errors of a photograph, which move with it.

    On an empty wall they are all there is to see.
    """
    cv2 = require("cv2", "video")
    if rng.random() < 0.6:
        strength = math.exp(rng.uniform(math.log(0.7), math.log(6.0)))
        grain = rng.standard_normal(picture.shape, dtype=np.float32)
        softness = rng.uniform(0.0, 1.5)
        if softness > 0.4:
            grain = cv2.GaussianBlur(grain, (0, 0), softness) * np.float32(3.0 * softness)
        picture = cv2.add(picture, grain * np.float32(strength), dtype=cv2.CV_8U)
    if rng.random() < 0.35:
        quality = int(rng.uniform(15.0, 80.0))
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return picture
