"""From a batch of uint8 clips to a loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from effvit_edge.core.card import Preprocess
from effvit_edge.data.types import IGNORE
from effvit_edge.nn import EfficientViT, EfficientViT3d


def normalise(frames: Tensor, spec: Preprocess) -> Tensor:
    """uint8 RGB frames to what the network takes, on the frames' device.

    The result lies in memory as (T, B, H, W, 3), so that a network which works on (T*B, 3, H, W)
    gets channels-last pictures without a copy; on a CPU that trains about twice as fast.

    Args:
        frames: ``(B, T, H, W, 3)`` uint8.
        spec: mean and std, in 0..1 units.

    Returns:
        ``(B, 3, T, H, W)`` float32.
    """
    mean = torch.tensor(spec.mean, device=frames.device) * 255
    std = torch.tensor(spec.std, device=frames.device) * 255
    time_major = frames.transpose(0, 1).contiguous()
    return ((time_major.float() - mean) / std).permute(1, 4, 0, 2, 3)


def frame_logits(model: EfficientViT, clip: Tensor) -> Tensor:
    """Logits of every frame that the network answers for.

    Args:
        model: a network of ``effvit_edge.nn``.
        clip: ``(B, 3, T, H, W)``.

    Returns:
        ``(B, T, classes)`` from causal and image networks, ``(B, 1, classes)`` from centred ones,
        whose answer is about the clip and stands for its last frame.
    """
    if not isinstance(model, EfficientViT3d):
        batch, channels, count, height, width = clip.shape
        # (B, 3, T, H, W) -> (T*B, 3, H, W)
        frames = clip.permute(2, 0, 1, 3, 4).reshape(count * batch, channels, height, width)
        logits: Tensor = model(frames)
        # (T*B, classes) -> (B, T, classes)
        return logits.reshape(count, batch, -1).transpose(0, 1)
    if model.causal:
        per_frame: Tensor = model.forward_frames(clip)
        return per_frame
    clip_logits: Tensor = model(clip)
    return clip_logits.unsqueeze(1)


def masked_loss(
    logits: Tensor, labels: Tensor, *, warmup_frames: int, label_smoothing: float
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy over the frames that have a label.

    Args:
        logits: ``(B, T, classes)``, or ``(B, 1, classes)`` for an answer about the whole clip.
        labels: ``(B, T, 1)`` int64, ``IGNORE`` where there is none.
        warmup_frames: first frames that are not asked about (per-frame answers only).
        label_smoothing: share of the target spread over all classes.

    Returns:
        The loss, and the share of those frames answered right; both scalars. A batch without any
        label has loss 0.
    """
    labels = labels[..., 0]
    if logits.shape[1] == 1 and labels.shape[1] > 1:
        labels = labels[:, -1:]
    elif warmup_frames:
        logits, labels = logits[:, warmup_frames:], labels[:, warmup_frames:]
    flat_logits, flat_labels = logits.flatten(0, 1).float(), labels.flatten()
    counted = (flat_labels != IGNORE).sum().clamp(min=1)
    total = F.cross_entropy(
        flat_logits,
        flat_labels,
        ignore_index=IGNORE,
        reduction="sum",
        label_smoothing=label_smoothing,
    )
    right = (flat_logits.argmax(-1) == flat_labels).sum()
    return total / counted, right / counted
