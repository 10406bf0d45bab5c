"""MoViNet's stream networks A0 to A2: causal (2+1)D convolutions with their state handed over.

Widths, kernels and strides are those of Kondratyuk et al., "MoViNets: Mobile Video Networks for
Efficient Video Recognition", arXiv 2103.11511, appendix; causal (2+1)D convolutions, gates that see
the frame's mean and the running mean ("2plus3d"), and hard activations as in the authors' released
stream models (github.com/tensorflow/models, official/projects/movinet). Two things are left out,
neither of which costs anything when the network runs: ReZero's factor of each block, which folds
into the projection, and TensorFlow's one-sided padding, whose outputs have the same size.

Notation: ``T`` frames, ``C`` channels, ``H W`` pixels, ``K`` frames under a temporal kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.peers.nets.rounding import divisible

_GATE_RATIO = 0.25
_HIDDEN = 2048
_CLASSES = 600  # Kinetics 600, which they were published for


@dataclass(frozen=True)
class Stage:
    """Blocks of one width; the first has the stride."""

    width: int
    expanded: tuple[int, ...]
    kernels: str
    """Per block its frames and its pixels: ``53 15`` is 5 frames by 3x3, then 1 frame by 5x5."""
    stride: int = 2


@dataclass(frozen=True)
class Layout:
    """One network of the family."""

    stem: int
    stages: tuple[Stage, ...]
    projected: int


LAYOUTS = {
    "a0": Layout(
        8,
        (
            Stage(8, (24,), "15"),
            Stage(32, (80, 80, 80), "33 33 33"),
            Stage(56, (184, 112, 184), "53 33 33"),
            Stage(56, (184, 184, 184, 184), "53 33 33 33", stride=1),
            Stage(104, (384, 280, 280, 344), "53 15 15 15"),
        ),
        480,
    ),
    "a1": Layout(
        16,
        (
            Stage(16, (40, 40), "15 33"),
            Stage(40, (96, 120, 96, 96), "33 33 33 33"),
            Stage(64, (216, 128, 216, 168, 216), "53 33 33 33 33"),
            Stage(64, (216, 216, 216, 128, 128, 216), "53 33 33 33 15 33", stride=1),
            Stage(136, (456, 360, 360, 360, 456, 456, 544), "53 15 15 15 15 33 13"),
        ),
        600,
    ),
    "a2": Layout(
        16,
        (
            Stage(16, (40, 40, 64), "15 33 33"),
            Stage(40, (96, 120, 96, 96, 120), "33 33 33 33 33"),
            Stage(72, (240, 160, 240, 192, 240), "53 33 33 33 33"),
            Stage(72, (240, 240, 240, 240, 144, 240), "53 33 33 33 15 33", stride=1),
            Stage(144, (480, 384, 384, 480, 480, 480, 576), "53 15 15 15 15 33 13"),
        ),
        640,
    ),
}


class MoViNet(nn.Module):
    """A stream network with random weights.

    Args:
        variant: ``a0``, ``a1`` or ``a2``.
        num_classes: width of the logits.
    """

    def __init__(self, variant: str, num_classes: int = _CLASSES) -> None:
        super().__init__()
        layout = LAYOUTS[variant]
        self.stem = _convolution(3, layout.stem, 3, stride=2)
        blocks: list[Block] = []
        width = layout.stem
        for stage in layout.stages:
            for number, (expanded, kernel) in enumerate(
                zip(stage.expanded, stage.kernels.split(), strict=True)
            ):
                stride = stage.stride if number == 0 else 1
                blocks.append(
                    Block(width, expanded, stage.width, int(kernel[0]), int(kernel[1]), stride)
                )
                width = stage.width
        self.blocks = nn.ModuleList(blocks)
        self.projected = layout.projected
        self.project = _convolution(width, layout.projected, 1)
        self.classify = nn.Sequential(
            nn.Linear(layout.projected, _HIDDEN),
            nn.Hardswish(),
            nn.Linear(_HIDDEN, num_classes),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Frames ``(T, 3, H, W)`` of a video -> ``(T, classes)``, each of what came until then."""
        x = self.stem(frames)
        for block in self._blocks():
            x = block.clip(x)
        logits: Tensor = self.classify(_running_means(_mean(self.project(x))).flatten(1))
        return logits

    def init_state(self, size: int) -> list[Tensor]:
        """The state before a video of ``size`` x ``size`` pixels; all zeros, counter first."""
        like = next(self.parameters())
        state, side = [like.new_zeros(1)], _halved(size)
        for block in self._blocks():
            side = _halved(side) if block.stride == 2 else side
            state += [like.new_zeros(shape) for shape in block.state_shapes(side)]
        return [*state, like.new_zeros(1, self.projected, 1, 1)]

    def step(self, frame: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """A frame ``(1, 3, H, W)`` and the state -> logits ``(1, classes)`` and the next state."""
        seen, *rest, head = state
        seen = seen + 1
        after = [seen]
        x = self.stem(frame)
        for block in self._blocks():
            mine, rest = rest[: block.num_states], rest[block.num_states :]
            x, states = block.step(x, mine, seen)
            after += states
        head = head + _mean(self.project(x))
        return (self.classify((head / seen).flatten(1)), *after, head)

    def _blocks(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]


class Block(nn.Module):
    """Expansion, depthwise convolution in space, then in time, gate, projection, and a bypass."""

    def __init__(
        self, width: int, expanded: int, out: int, frames: int, pixels: int, stride: int
    ) -> None:
        super().__init__()
        self.stride, self.channels = stride, expanded
        self.expand = _convolution(width, expanded, 1)
        self.space = _convolution(expanded, expanded, pixels, stride=stride, groups=expanded)
        self.time = InTime(expanded, frames) if frames > 1 else None
        self.gate = Gate(expanded)
        self.project = _convolution(expanded, out, 1, active=False)
        self.bypass: nn.Module = nn.Identity()
        if stride == 2:
            pool = nn.AvgPool2d(3, 2, 1, count_include_pad=False)
            self.bypass = nn.Sequential(pool, _convolution(width, out, 1, active=False))
        elif width != out:
            self.bypass = _convolution(width, out, 1, active=False)

    @property
    def num_states(self) -> int:
        """How many tensors of the state are this block's."""
        return 1 if self.time is None else 2

    def state_shapes(self, side: int) -> list[tuple[int, ...]]:
        """Their shapes; ``side`` is that of the block's output, pixels."""
        gate = (1, self.channels, 1, 1)
        return [gate] if self.time is None else [self.time.state_shape(side), gate]

    def clip(self, x: Tensor) -> Tensor:
        """``(T, C, H, W)`` of one video."""
        y = self.space(self.expand(x))
        if self.time is not None:
            y = self.time.clip(y)
        means = _mean(y)
        y = y * self.gate(_running_means(means), means)
        return torch.add(self.project(y), self.bypass(x))

    def step(self, x: Tensor, state: list[Tensor], seen: Tensor) -> tuple[Tensor, list[Tensor]]:
        """``(1, C, H, W)``; ``seen`` counts the frames, this one included."""
        after = []
        y = self.space(self.expand(x))
        if self.time is not None:
            y, past = self.time.step(y, state[0])
            after.append(past)
        mean = _mean(y)
        total = state[-1] + mean
        y = y * self.gate(total / seen, mean)
        return self.project(y) + self.bypass(x), [*after, total]


class InTime(nn.Module):
    """Causal depthwise convolution over ``K`` frames with norm and activation."""

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.channels, self.past = channels, frames - 1
        self.convolve = nn.Conv2d(channels, channels, (frames, 1), groups=channels, bias=False)
        self.norm = nn.BatchNorm2d(channels, eps=1e-3)

    def state_shape(self, side: int) -> tuple[int, ...]:
        """``(1, C, K - 1, H W)``: the frames before."""
        return 1, self.channels, self.past, side * side

    def clip(self, x: Tensor) -> Tensor:
        """``(T, C, H, W)``, before which there was nothing."""
        frames, channels, height, width = x.shape
        padded = nn.functional.pad(x.flatten(2).permute(1, 2, 0), (self.past, 0))
        rows = padded.permute(0, 2, 1).unsqueeze(0)  # (1, C, K - 1 + T, H W)
        y = self._answer(rows)[0].permute(1, 0, 2)
        return y.reshape(frames, channels, height, width)

    def step(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """``(1, C, H, W)`` and the frames before -> the answer, and the frames before the next."""
        rows = torch.cat([past, x.flatten(2).unsqueeze(2)], dim=2)
        return self._answer(rows).reshape(x.shape), rows[:, :, 1:]

    def _answer(self, rows: Tensor) -> Tensor:
        return nn.functional.hardswish(self.norm(self.convolve(rows)))


class Gate(nn.Module):
    """Squeeze and excitation that sees the running mean and the frame's own."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = divisible(_GATE_RATIO * 2 * channels)
        self.layers = nn.Sequential(
            nn.Conv2d(2 * channels, hidden, 1),
            nn.Hardswish(),
            nn.Conv2d(hidden, channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, running: Tensor, own: Tensor) -> Tensor:
        """Two times ``(T, C, 1, 1)`` -> ``(T, C, 1, 1)``."""
        gate: Tensor = self.layers(torch.cat([running, own], dim=1))
        return gate


def _convolution(
    width: int, out: int, pixels: int, *, stride: int = 1, groups: int = 1, active: bool = True
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(width, out, pixels, stride, pixels // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out, eps=1e-3),
    ]
    return nn.Sequential(*layers, nn.Hardswish()) if active else nn.Sequential(*layers)


def _mean(x: Tensor) -> Tensor:
    return x.mean((2, 3), keepdim=True)


def _running_means(means: Tensor) -> Tensor:
    """``(T, …)`` -> for each frame the mean until then."""
    counts = torch.arange(1, len(means) + 1, dtype=means.dtype, device=means.device)
    return means.cumsum(0) / counts.reshape(-1, 1, 1, 1)


def _halved(side: int) -> int:
    return -(-side // 2)
