"""A few rendered clips to compare artifacts on: pictures with natural statistics, never noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from effvit_edge.core.card import ModelCard

Clips = npt.NDArray[np.uint8]

_SEED = 20
_TEXTURES = 4
_SPEED = 0.02  # of the side, a frame
# (what moves how) for the first and the second half of each clip
_MOTIONS = (("left", "left"), ("closer", "clockwise"))


def render_samples(card: ModelCard, num_frames: int) -> Clips:
    """Clips ``(K, T, H, W, 3)`` uint8 RGB of the card's input size, the same at every call.

    Raises:
        EnvironmentFault: OpenCV is missing.
    """
    from effvit_edge.core.motion import TextureBank, render_sequence

    height, width = card.preprocess.height, card.preprocess.width
    bank = TextureBank(_SEED, count=_TEXTURES)
    rng = np.random.default_rng(_SEED)
    clips = []
    for first, second in _MOTIONS:
        half = num_frames // 2
        segments = [(first, num_frames - half), (second, half)]
        clip = render_sequence(
            bank,
            rng,
            [(label, count) for label, count in segments if count],
            max(height, width),
            _SPEED,
            composition="scene",
            degraded=False,
        )
        clips.append(clip[:, :height, :width])
    return np.ascontiguousarray(np.stack(clips))
