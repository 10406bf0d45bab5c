"""A few training steps on one fixed batch, and everything in them that is not finite."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import Optimizer

from effvit_edge import nn
from effvit_edge.train.distributed import Group
from effvit_edge.train.optim import make_optimizer
from effvit_edge.train.perframe import PerFrame
from effvit_edge.train.precision import Kind, Precision
from effvit_edge.train.sections import OptimRecipe

MOTIONS = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))
"""Steps (down, right) that the picture moves by from frame to frame, for each class."""
CLASSES = len(MOTIONS)
CLIP_NORM = 2.0
_AT_THE_END = 5
"""Steps whose mean loss stands for the end."""
_WARM = 3
"""First steps, left out of the time of a step."""


@dataclass(frozen=True)
class Setting:
    """One run of a few steps."""

    variant: str
    causal: bool
    precision: Kind = "fp32"
    size: int = 64
    """Pixels a side."""
    frames: int = 4
    batch: int = CLASSES
    steps: int = 30
    lr: float = 1e-3
    device: str = "cpu"
    recompute: bool = False
    compile: bool = False
    head_widths: tuple[int, int] | None = None
    """None: the variant's own."""


@dataclass
class Run:
    """What came of it."""

    setting: Setting
    parameters: int = 0
    losses: list[float] = field(default_factory=list)
    gradient_norms: list[float] = field(default_factory=list)
    """Before clipping."""
    seconds: list[float] = field(default_factory=list)
    """Of each step: this process's own on a CPU, where other work does not count; else by clock."""
    not_finite: dict[str, int] = field(
        default_factory=lambda: {"losses": 0, "gradients": 0, "weights": 0, "buffers": 0}
    )
    """Steps with such a loss or gradient; tensors with such a value at the end."""
    overflows: int = 0
    """Steps that the scaler of fp16 left out and mended: expected of it, at the start."""
    peak_bytes: int | None = None
    """Most memory of a CUDA device; None elsewhere."""

    @property
    def last_loss(self) -> float:
        """Mean of the last losses."""
        return statistics.fmean(self.losses[-_AT_THE_END:])

    @property
    def learnt(self) -> bool:
        """Whether the loss fell by half and nothing was not finite."""
        return self.last_loss <= 0.5 * self.losses[0] and not any(self.not_finite.values())

    @property
    def seconds_a_step(self) -> float:
        """Median, the first steps left out."""
        return statistics.median(self.seconds[_WARM:] or self.seconds)

    def summary(self) -> dict[str, Any]:
        """JSON values."""
        setting = self.setting
        return {
            "variant": setting.variant,
            "causal": setting.causal,
            "precision": setting.precision,
            "recompute": setting.recompute,
            "compile": setting.compile,
            "parameters": self.parameters,
            "size": setting.size,
            "frames": setting.frames,
            "batch": setting.batch,
            "steps": len(self.losses),
            "first_loss": round(self.losses[0], 4),
            "last_loss": round(self.last_loss, 4),
            "largest_gradient_norm": round(max(self.gradient_norms), 3),
            "learnt": self.learnt,
            "not_finite": self.not_finite,
            "overflows": self.overflows,
            "seconds_a_step": round(self.seconds_a_step, 4),
            "clips_a_second": round(setting.batch / self.seconds_a_step, 2),
            "peak_bytes": self.peak_bytes,
        }


def fixed_batch(setting: Setting, seed: int = 0) -> tuple[Tensor, Tensor]:
    """One picture in every clip, which moves in another way in each: only time tells them apart.

    Returns:
        Clips ``(B, 3, T, H, W)``, normalised as pictures are (about zero, a deviation of about
        one), and the class of each, ``(B,)``: clip ``b`` moves as ``MOTIONS[b % CLASSES]``.
    """
    generator = torch.Generator().manual_seed(seed)
    squares = torch.randn(1, 3, 8, 8, generator=generator)
    picture = functional.interpolate(squares, (setting.size, setting.size), mode="bilinear")[0]
    step = max(1, setting.size // 16)
    labels = torch.arange(setting.batch) % CLASSES
    clips = torch.stack([_moving(picture, MOTIONS[int(b)], step, setting.frames) for b in labels])
    return clips.to(setting.device), labels.to(setting.device)


def _moving(picture: Tensor, motion: tuple[int, int], step: int, frames: int) -> Tensor:
    """``(3, H, W) -> (3, T, H, W)``; what leaves on one side enters on the other."""
    shifts = ((motion[0] * step * t, motion[1] * step * t) for t in range(frames))
    return torch.stack([picture.roll(shift, (1, 2)) for shift in shifts], dim=1)


def train(setting: Setting, group: Group | None = None) -> Run:
    """Build the network as training from scratch does, and take the steps.

    Args:
        setting: what to train and how.
        group: the processes that train together; None: this one alone.
    """
    torch.manual_seed(0)
    device = torch.device(setting.device)
    model = nn.create_model(
        f"efficientvit3d_{setting.variant}",
        num_classes=CLASSES,
        num_frames=setting.frames,
        causal=setting.causal,
        head_widths=setting.head_widths,
    )
    nn.start_from_scratch(model)
    model = model.to(device).train()
    model.recompute = setting.recompute
    run = Run(setting, parameters=sum(p.numel() for p in model.parameters()))
    recipe = OptimRecipe(lr=setting.lr, batch_size=setting.batch, steps=setting.steps)
    optimizer = make_optimizer(model, recipe)
    clips, labels = fixed_batch(setting)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    precision = Precision(setting.precision, device)
    parallel = (group or Group()).parallel(PerFrame(model))
    forward = torch.compile(parallel) if setting.compile else parallel
    for _ in range(setting.steps):
        _one_step(run, model, forward, optimizer, precision, clips, labels)
    _count_at_the_end(run, model)
    if device.type == "cuda":
        run.peak_bytes = torch.cuda.max_memory_allocated(device)
    del model, optimizer, parallel, forward
    gc.collect()  # the next network may be as large
    return run


def _one_step(
    run: Run,
    model: nn.EfficientViT,
    forward: Callable[[Tensor], Tensor],
    optimizer: Optimizer,
    precision: Precision,
    clips: Tensor,
    labels: Tensor,
) -> None:
    clock = time.process_time if clips.device.type == "cpu" else time.perf_counter
    began = clock()
    with precision.autocast():
        logits = forward(clips).float()
    logits = logits[:, -max(1, logits.shape[1] - 1) :]  # the first frame knows no motion
    targets = labels[:, None].expand(logits.shape[:2])
    loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    optimizer.zero_grad(set_to_none=True)
    scaler, scale = precision.scaler, precision.scale
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM))
    scaler.step(optimizer)
    scaler.update()
    value = float(loss.detach())  # waits for the device
    run.seconds.append(clock() - began)
    run.losses.append(value)
    if not math.isfinite(value):
        run.not_finite["losses"] += 1
    elif not math.isfinite(norm) and scale > 1:
        run.overflows += 1
    elif not math.isfinite(norm):
        run.not_finite["gradients"] += 1
    else:
        run.gradient_norms.append(norm)


def _count_at_the_end(run: Run, model: nn.EfficientViT) -> None:
    for kind, tensors in (("weights", model.parameters()), ("buffers", model.buffers())):
        run.not_finite[kind] = sum(not bool(torch.isfinite(t).all()) for t in tensors)
