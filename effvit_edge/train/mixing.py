"""Mixup and cutmix: each clip of a batch is mixed with its partner, the batch read backwards.

Mixup (Zhang 2018) blends whole clips, cutmix (Yun 2019) puts a box of the partner into a clip, the
same in all its frames. As in timm's ``mode="batch"`` there is one draw for a whole batch.

Notation: B batch, T frames, H W pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from effvit_edge.train.sections import AugmentRecipe


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True)
class Mix:
    """One draw, for one batch."""

    share: float
    """What a clip keeps: the weight of its own target in the loss, and for mixup of its picture.
    Its partner has the rest."""
    box: Box | None = None
    """What cutmix takes from the partner; None for mixup."""

    def apply(self, clips: Tensor) -> Tensor:
        """The mixed clips, as a new tensor in the same layout.

        Args:
            clips: ``(B, 3, T, H, W)``, normalised or not.
        """
        if self.box is None:
            return clips.mul(self.share).add_(self.partners(clips), alpha=1 - self.share)
        rows = slice(self.box.top, self.box.bottom)
        columns = slice(self.box.left, self.box.right)
        mixed = clips.clone()
        mixed[..., rows, columns] = self.partners(clips)[..., rows, columns]
        return mixed

    def partners(self, batch: Tensor) -> Tensor:
        """What each clip of a batch, or its target, is mixed with: ``(B, …)`` read backwards."""
        return batch.flip(0)


def draw_mix(
    augment: AugmentRecipe, random: np.random.Generator, *, height: int, width: int
) -> Mix | None:
    """Decide what happens to one batch.

    Args:
        augment: the alphas of mixup and cutmix, and the share of batches that are mixed.
        random: what decides.
        height: of the clips, pixels.
        width: of the clips, pixels.

    Returns:
        The draw; None where the batch stays as it is.
    """
    if not (augment.mixup or augment.cutmix):
        return None
    mixed, takes_cutmix = random.random() < augment.mix_share, random.random() < 0.5
    if not mixed:
        return None
    if augment.cutmix and (takes_cutmix or not augment.mixup):
        return _draw_cutmix(random, random.beta(augment.cutmix, augment.cutmix), height, width)
    return Mix(share=float(random.beta(augment.mixup, augment.mixup)))


def _draw_cutmix(random: np.random.Generator, share: float, height: int, width: int) -> Mix:
    """A box of area ``1 - share`` around a random pixel, less what lies outside of the picture."""
    row, column = int(random.integers(height)), int(random.integers(width))
    half = 0.5 * math.sqrt(1 - share)
    half_height, half_width = int(half * height), int(half * width)
    box = Box(
        top=max(row - half_height, 0),
        bottom=min(row + half_height, height),
        left=max(column - half_width, 0),
        right=min(column + half_width, width),
    )
    taken = (box.bottom - box.top) * (box.right - box.left)
    return Mix(share=1 - taken / (height * width), box=box)
