"""EfficientViT stems, stages and heads from flat numbers.

Tuples of five are (stem, stage 1, …, stage 4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from torch import nn

from effvit_edge.nn.efficientvit.blocks import (
    AttentionBlock,
    DepthwiseSeparable,
    FusedMBConv,
    Head,
    MBConv,
    ResBlock,
)
from effvit_edge.nn.layers import ConvNorm

Five = tuple[int, int, int, int, int]

NORM_EPS = {"b": 1e-5, "l": 1e-7}
ACTIVATION = {"b": "hardswish", "l": "gelu_tanh"}


def _drop_path_rates(series: str, depths: Five, final: float) -> Iterator[float]:
    """Stochastic depth grows linearly over the blocks with a residual, from 0 to ``final``."""
    count = sum(depths) - (2 if series == "b" else 0)  # B counts two stride-2 blocks as depth
    return (final * i / max(count - 1, 1) for i in range(count))


def build_stem(
    series: str,
    width: int,
    depth: int,
    *,
    kernel_frames: int,
    stride_frames: int,
    rates: Iterator[float],
) -> nn.ModuleList:
    """A stride-2 convolution, then ``depth`` residual blocks."""
    block: Callable[..., nn.Module] = partial(
        DepthwiseSeparable if series == "b" else ResBlock,
        width,
        norm_eps=NORM_EPS[series],
        activation=ACTIVATION[series],
        kernel_frames=kernel_frames,
    )
    stem = nn.ModuleList(
        [
            ConvNorm(
                3,
                width,
                3,
                stride=2,
                norm_eps=NORM_EPS[series],
                activation=ACTIVATION[series],
                kernel_frames=kernel_frames,
                stride_frames=stride_frames,
            )
        ]
    )
    stem.extend(block(drop_path=next(rates)) for _ in range(depth))
    return stem


def build_stages(
    series: str,
    widths: Five,
    depths: Five,
    *,
    head_dim: int,
    eps: float,
    temporal_kernels: Five,
    temporal_strides: Five,
    drop_path: float,
) -> tuple[nn.ModuleList, nn.ModuleList]:
    """Stem and the four stages.

    B: inverted bottlenecks, attention in stages 3 and 4; a stage's depth counts its stride-2 block
    where it has no attention. L: fused bottlenecks in stages 1 and 2, attention in stage 4 only;
    the stride-2 block comes on top of the depth.
    """
    rates = _drop_path_rates(series, depths, drop_path)
    stem = build_stem(
        series,
        widths[0],
        depths[0],
        kernel_frames=temporal_kernels[0],
        stride_frames=temporal_strides[0],
        rates=rates,
    )
    stages = nn.ModuleList()
    for s in range(1, 5):
        has_attention = s == 4 or (series == "b" and s == 3)
        block = _bottleneck(series, s, kernel_frames=temporal_kernels[s])
        first = block(
            widths[s - 1],
            widths[s],
            expand=4 if series == "b" else (24 if s == 4 else 16),
            stride=2,
            stride_frames=temporal_strides[s],
        )
        repeats = depths[s] - 1 if series == "b" and not has_attention else depths[s]
        repeat: Callable[..., nn.Module]
        if has_attention:
            repeat = partial(
                AttentionBlock,
                widths[s],
                head_dim=head_dim,
                expand=4 if series == "b" else 6,
                norm_eps=NORM_EPS[series],
                eps=eps,
                activation=ACTIVATION[series],
                kernel_frames=temporal_kernels[s],
            )
        else:
            repeat = partial(block, widths[s], widths[s], expand=4)
        stage = nn.ModuleList([first])
        stage.extend(repeat(drop_path=next(rates)) for _ in range(repeats))
        stages.append(stage)
    return stem, stages


def _bottleneck(series: str, stage: int, *, kernel_frames: int) -> Callable[..., nn.Module]:
    """The convolutional block of a stage: inverted, fewer norms deep down, or fused (early L)."""
    numbers: dict[str, Any] = {
        "norm_eps": NORM_EPS[series],
        "activation": ACTIVATION[series],
        "kernel_frames": kernel_frames,
    }
    if series == "l" and stage <= 2:
        return partial(FusedMBConv, **numbers)
    return partial(MBConv, fewer_norm=stage >= 3, **numbers)


def build_head(
    series: str, in_channels: int, widths: tuple[int, int], num_classes: int, dropout: float
) -> Head:
    """The classifier of a ``b`` or ``l`` network."""
    return Head(
        in_channels,
        widths,
        num_classes,
        norm_eps=NORM_EPS[series],
        activation=ACTIVATION[series],
        dropout=dropout,
    )
