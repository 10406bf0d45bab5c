"""From a batch of uint8 clips to a loss.

Notation: B batch, T frames, H W pixels, G label groups, C classes of all groups together.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from effvit_edge.core.card import LabelGroup, Preprocess
from effvit_edge.core.errors import InputError
from effvit_edge.data.types import IGNORE
from effvit_edge.nn import EfficientViT, EfficientViT3d
from effvit_edge.train.groups import group_slices
from effvit_edge.train.mixing import Mix
from effvit_edge.train.sections import OptimRecipe


def normalise(frames: Tensor, spec: Preprocess, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 RGB frames to what the network takes, on the frames' device.

    The result lies in memory as (T, B, H, W, 3), so that a network which works on (T*B, 3, H, W)
    gets channels-last pictures without a copy; on a CPU that trains about twice as fast.

    Args:
        frames: ``(B, T, H, W, 3)`` uint8.
        spec: mean and std, in 0..1 units.
        dtype: of the result.

    Returns:
        ``(B, 3, T, H, W)``.
    """
    mean = torch.tensor(spec.mean, dtype=dtype, device=frames.device) * 255
    std = torch.tensor(spec.std, dtype=dtype, device=frames.device) * 255
    time_major = frames.transpose(0, 1).contiguous()
    return ((time_major.to(dtype) - mean) / std).permute(1, 4, 0, 2, 3)


def frame_logits(model: EfficientViT, clip: Tensor) -> Tensor:
    """Logits of every frame that the network answers for.

    Args:
        model: a network of ``effvit_edge.nn``.
        clip: ``(B, 3, T, H, W)``.

    Returns:
        ``(B, T, C)`` from causal and image networks, ``(B, 1, C)`` from centred ones, whose
        answer is about the clip and stands for its last frame.
    """
    if not isinstance(model, EfficientViT3d):
        batch, channels, count, height, width = clip.shape
        # (B, 3, T, H, W) -> (T*B, 3, H, W)
        frames = clip.permute(2, 0, 1, 3, 4).reshape(count * batch, channels, height, width)
        logits: Tensor = model(frames)
        # (T*B, C) -> (B, T, C)
        return logits.reshape(count, batch, -1).transpose(0, 1)
    if model.causal:
        per_frame: Tensor = model.forward_frames(clip)
        return per_frame
    clip_logits: Tensor = model(clip)
    return clip_logits.unsqueeze(1)


@dataclass(frozen=True)
class Loss:
    """What a batch, or a part of one, comes to. Parts over one denominator add up to the whole."""

    total: Tensor
    """Scalar, to go backwards from."""
    right: Tensor
    """``(G,)``, without gradient: for each group, what was answered right, over the denominator.
    Of a group whose labels do not exclude each other, right is a best answer that applies."""


class Objective:
    """The loss of a recipe: a softmax or a sigmoid over each label group, and their weighted sum.

    A frame costs, for each group, its cross-entropy, or the mean over the group's classes of the
    binary cross-entropies (as EfficientViT trains, and timm's ``BinaryCrossEntropy``). Smoothing
    makes a target ``(1 - s)·target + s / classes`` for both.

    Args:
        groups: the questions, in the order of the logits.
        optim: which loss, the groups' weights, smoothing and warm-up frames.
        per_frame: whether the network answers for each frame (causal and image networks) or once
            a clip; then only the clip's last target is asked for.

    Raises:
        InputError: the loss does not fit the groups, or a weight is for a group that is not there.
    """

    def __init__(
        self, groups: tuple[LabelGroup, ...], optim: OptimRecipe, *, per_frame: bool
    ) -> None:
        _check(groups, optim)
        self.groups = groups
        self._slices = group_slices(groups)
        self._weights = [float(optim.group_weights.get(group.name, 1.0)) for group in groups]
        self._bce = optim.loss == "bce"
        self._smoothing = optim.label_smoothing
        self._warmup_frames = optim.warmup_frames if per_frame else 0
        self._per_frame = per_frame

    def count(self, targets: Tensor) -> Tensor:
        """How many answers are asked for: the denominator of a mean over this batch.

        Mixing a batch does not change it: every target is used with shares that add up to one.

        Args:
            targets: ``(B, T, G)`` or, multi-label, ``(B, T, C)``; ``IGNORE`` where there is none.

        Returns:
            Scalar float32, at least 0: clips or frames that have a label of any group.
        """
        return (self._asked(targets) != IGNORE).any(-1).sum().float()

    def __call__(
        self, logits: Tensor, targets: Tensor, *, denominator: Tensor, mix: Mix | None = None
    ) -> Loss:
        """The loss of a batch, or of a part of one.

        Args:
            logits: ``(B, T, C)``, or ``(B, 1, C)`` for answers about whole clips.
            targets: as in :meth:`count`.
            denominator: :meth:`count` of the whole batch, of all its parts and processes; nothing
                to ask for (0) is a loss of 0.
            mix: what was done to the clips, if anything.
        """
        if logits.dtype != torch.float64:
            logits = logits.float()
        logits = logits[:, self._warmup_frames :]
        total, right = self._sums(logits, self._asked(targets))
        if mix is not None:
            other_total, other_right = self._sums(logits, mix.partners(self._asked(targets)))
            total = mix.share * total + (1 - mix.share) * other_total
            right = mix.share * right + (1 - mix.share) * other_right
        denominator = denominator.clamp(min=1)
        return Loss(total / denominator, right / denominator)

    def accuracies(self, right: Tensor) -> dict[str, float]:
        """``Loss.right``, added up, by name: ``accuracy`` of the first group, ``accuracy_NAME``."""
        names = ["accuracy", *(f"accuracy_{group.name}" for group in self.groups[1:])]
        return {name: round(share, 4) for name, share in zip(names, right.tolist(), strict=True)}

    def _asked(self, targets: Tensor) -> Tensor:
        """The targets that there are answers to."""
        return targets[:, self._warmup_frames :] if self._per_frame else targets[:, -1:]

    def _sums(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted loss of all answers, and how many are right for each group, ``(G,)``."""
        total, right = logits.new_zeros(()), []
        for index, (group, place) in enumerate(zip(self.groups, self._slices, strict=True)):
            own = targets[..., index] if group.exclusive else targets
            loss, hits = self._group_sums(logits[..., place], own)
            total = total + self._weights[index] * loss
            right.append(hits)
        return total, torch.stack(right)

    def _group_sums(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """One group's loss and right answers, both summed.

        Args:
            logits: ``(B, T, classes)``.
            targets: ``(B, T)`` class numbers, or ``(B, T, classes)`` zeros and ones.
        """
        classes = logits.shape[-1]
        numbers = targets.dim() == 2
        known = (targets if numbers else targets.amax(-1)) != IGNORE
        best = logits.detach().argmax(-1)
        if numbers:
            right = best == targets
        else:
            right = targets.gather(-1, best[..., None])[..., 0] == 1
        right_count = right.sum().to(logits.dtype)
        if not self._bce:
            loss = F.cross_entropy(
                logits.flatten(0, 1),
                targets.flatten(),
                ignore_index=IGNORE,
                reduction="sum",
                label_smoothing=self._smoothing,
            )
            return loss, right_count
        wanted = F.one_hot(targets.clamp(min=0), classes) if numbers else targets
        wanted = wanted * (1 - self._smoothing) + self._smoothing / classes
        asked = known[..., None].to(logits.dtype).expand_as(logits)
        loss = F.binary_cross_entropy_with_logits(
            logits, wanted.to(logits.dtype), weight=asked, reduction="sum"
        )
        return loss / classes, right_count


def _check(groups: Sequence[LabelGroup], optim: OptimRecipe) -> None:
    for group in groups:
        if not group.exclusive and optim.loss != "bce":
            raise InputError(
                f"optim.loss: several labels of '{group.name}' can apply at once, which "
                f"{optim.loss} cannot express. Set optim.loss to bce."
            )
    _check_weights([group.name for group in groups], optim.group_weights)


def _check_weights(names: Sequence[str], weights: Mapping[str, float]) -> None:
    for name, weight in weights.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise InputError(
                f"optim.group_weights: there is no label group '{name}', "
                f"only {', '.join(names)}.{hint}"
            )
        if weight < 0:
            raise InputError(
                f"optim.group_weights: the weight of '{name}' must not be negative, got {weight}."
            )
