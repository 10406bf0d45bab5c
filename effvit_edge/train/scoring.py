"""Answers of a network in torch, for evaluation.

Notation: T frames, H W pixels, V views.
"""

from __future__ import annotations

import numpy as np
import torch

from effvit_edge.core.card import ModelCard
from effvit_edge.data.types import Frames
from effvit_edge.nn import EfficientViT
from effvit_edge.train.evaluate import FRAMES_DIMENSIONS, cut_clips
from effvit_edge.train.metrics import Logits
from effvit_edge.train.objective import frame_logits, normalise


class TorchScorer:
    """Answers of a network in torch.

    Args:
        model: in evaluation mode, on ``device``.
        card: of the network.
        device: where it runs; the CPU by default.
        max_frames: most frames seen at once, or half more than the network's reach where that is
            greater. A longer sequence of a stream is cut into stretches that overlap by this reach,
            so that every answer has all the past that it depends on.
        clips: clips a sequence for a centred network that is shown whole sequences.
    """

    def __init__(
        self,
        model: EfficientViT,
        card: ModelCard,
        *,
        device: torch.device | None = None,
        max_frames: int = 512,
        clips: int = 4,
    ) -> None:
        self.model = model
        self.card = card
        self.device = device or torch.device("cpu")
        self.clips = clips
        self.overlap = model.reach
        self.max_frames = max(max_frames, 3 * self.overlap // 2)

    @torch.inference_mode()
    def __call__(self, frames: Frames) -> Logits:
        """Answers for a sequence, ``(T, H, W, 3)``, or its views, ``(V, T, H, W, 3)``."""
        if frames.ndim != FRAMES_DIMENSIONS:
            return self._views(frames)
        if self.card.mode == "clip":
            return self._views(np.stack(cut_clips(frames, self.card.num_frames, self.clips)))
        parts, start = [], 0
        while start < len(frames):
            past = min(start, self.overlap)
            stretch = frames[start - past : start - past + self.max_frames]
            parts.append(self._logits(stretch[None])[0, past:])
            start += len(stretch) - past
        return np.concatenate(parts)

    def _views(self, views: Frames) -> Logits:
        """``(V, classes)``, as many views at once as a stream may have frames."""
        at_once = max(1, self.max_frames // views.shape[1])
        starts = range(0, len(views), at_once)
        parts = [self._logits(views[start : start + at_once])[:, -1] for start in starts]
        return np.concatenate(parts)

    def _logits(self, clips: Frames) -> Logits:
        """``(B, T, H, W, 3)`` -> ``(B, T, classes)``, or ``(B, 1, classes)`` of a centred one."""
        batch = torch.from_numpy(np.ascontiguousarray(clips)).to(self.device)
        dtype = next(self.model.parameters()).dtype
        logits = frame_logits(self.model, normalise(batch, self.card.preprocess, dtype))
        result: Logits = logits.float().cpu().numpy()
        return result
