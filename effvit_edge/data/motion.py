"""Procedural motion as a dataset: the label of a frame is the motion that led to it."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from effvit_edge.core.card import LabelGroup
from effvit_edge.core.motion import LABELS, TextureBank, render_sequence
from effvit_edge.data.failures import Failures
from effvit_edge.data.types import IGNORE, Frames, LabelledSequence, Targets

_TRAIN_STREAM, _EVAL_STREAM = 0, 1
_GROUPS: tuple[LabelGroup, ...] = (LabelGroup("label", tuple(LABELS)),)


class MotionClips:
    """Endless rendered training clips.

    Args:
        size: height and width in pixels.
        frames: frames a clip.
        textures: pictures in the bank that clips are made of.
        seed: of the bank and of every clip.
        switch_share: share of clips whose motion changes once.
        switch_ignore: frames after a change that have no label.
        plain_share: share of clips that show the whole scene moving, in a clean picture.
        plain_first: clips over which that share falls from 1.
    """

    groups = _GROUPS
    epoch_clips: int | None = None

    def __init__(
        self,
        *,
        size: int,
        frames: int,
        textures: int,
        seed: int,
        switch_share: float = 0.0,
        switch_ignore: int = 0,
        plain_share: float = 0.0,
        plain_first: int = 0,
    ) -> None:
        self.size = size
        self.frames = frames
        self.textures = textures
        self.seed = seed
        self.switch_share = switch_share
        self.switch_ignore = switch_ignore
        self.plain_share = plain_share
        self.plain_first = plain_first
        self.failed = Failures(0, 1.0)
        self.failures = self.failed.sentences

    @cached_property
    def bank(self) -> TextureBank:
        """Drawn when first needed; the same in every worker."""
        return TextureBank(self.seed, self.textures)

    def __getitem__(self, number: int) -> tuple[Frames, Targets]:
        rng = np.random.default_rng((self.seed, _TRAIN_STREAM, number))
        segments = self._segments(rng)
        if rng.random() < self._plain_share(number):
            frames = render_sequence(
                self.bank, rng, segments, self.size, composition="scene", degraded=False
            )
        else:
            frames = render_sequence(self.bank, rng, segments, self.size)
        return frames, frame_targets(segments, self.switch_ignore)

    def name(self, number: int) -> str:
        """Rendered clips have no file."""
        return f"rendered clip {number}"

    def _plain_share(self, number: int) -> float:
        left = max(0.0, 1.0 - number / self.plain_first) if self.plain_first else 0.0
        return self.plain_share + (1.0 - self.plain_share) * left

    def _segments(self, rng: np.random.Generator) -> list[tuple[str, int]]:
        first = int(rng.integers(len(LABELS)))
        if rng.random() >= self.switch_share:
            return [(LABELS[first], self.frames)]
        second = (first + int(rng.integers(1, len(LABELS)))) % len(LABELS)
        change = int(rng.integers(self.frames // 4, self.frames - self.frames // 4))
        return [(LABELS[first], change), (LABELS[second], self.frames - change)]


class MotionSequences:
    """Steady motions for evaluation, from textures that no training clip uses."""

    groups = _GROUPS

    def __init__(self, *, size: int, frames: int, count: int, textures: int, seed: int) -> None:
        self.size = size
        self.frames = frames
        self.count = count
        self.textures = textures
        self.seed = seed
        self.failed = Failures(0, 1.0)
        self.failures = self.failed.sentences

    @cached_property
    def bank(self) -> TextureBank:
        """A bank of its own, apart from the training bank of the same seed."""
        return TextureBank(self.seed + 1_000_003, self.textures)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> LabelledSequence:
        rng = np.random.default_rng((self.seed, _EVAL_STREAM, index))
        label = LABELS[index % len(LABELS)]
        segments = [(label, self.frames)]
        frames = render_sequence(self.bank, rng, segments, self.size)
        return LabelledSequence(f"{label}-{index}", frames, frame_targets(segments, 0))


def frame_targets(segments: list[tuple[str, int]], switch_ignore: int) -> Targets:
    """``(T, 1)`` class numbers; the first ``switch_ignore`` frames after each change have none."""
    parts = []
    for position, (label, count) in enumerate(segments):
        part = np.full(count, LABELS.index(label), dtype=np.int64)
        if position:
            part[:switch_ignore] = IGNORE
        parts.append(part)
    return np.concatenate(parts)[:, None]
