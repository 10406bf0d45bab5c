"""Presets by name, each from flat keywords."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from effvit_edge.nn.efficientvit.builders import Five
from effvit_edge.nn.efficientvit.model import EfficientViT, EfficientViT3d
from effvit_edge.nn.efficientvit.presets import (
    DEFAULT_TEMPORAL_KERNELS,
    IMAGE_PREFIX,
    PRESETS,
    VIDEO_PREFIX,
)


def _create_image(
    variant: str,
    *,
    num_classes: int = 1000,
    head_widths: Sequence[int] | None = None,
    drop_path: float = 0.0,
    head_dropout: float = 0.0,
    eps: float = 1e-5,
) -> EfficientViT:
    kwargs: dict[str, Any] = {
        "num_classes": num_classes,
        "head_widths": _head_widths(variant, head_widths),
        "drop_path": drop_path,
        "head_dropout": head_dropout,
        "eps": eps,
    }
    model = EfficientViT(PRESETS[variant], **kwargs)
    model.network_kwargs = kwargs
    return model


def _create_video(
    variant: str,
    *,
    num_classes: int = 400,
    num_frames: int = 8,
    causal: bool = False,
    window: int | None = None,
    temporal_kernels: Sequence[int] | None = None,
    temporal_strides: Sequence[int] | None = None,
    temporal_padding: str = "zeros",
    head_widths: Sequence[int] | None = None,
    drop_path: float = 0.0,
    head_dropout: float = 0.0,
    eps: float = 1e-5,
) -> EfficientViT3d:
    kwargs: dict[str, Any] = {
        "num_classes": num_classes,
        "num_frames": num_frames,
        "causal": causal,
        "window": window,
        "temporal_kernels": _five(temporal_kernels, DEFAULT_TEMPORAL_KERNELS),
        "temporal_strides": _five(temporal_strides, (1, 1, 1, 1, 1)),
        "temporal_padding": temporal_padding,
        "head_widths": _head_widths(variant, head_widths),
        "drop_path": drop_path,
        "head_dropout": head_dropout,
        "eps": eps,
    }
    model = EfficientViT3d(PRESETS[variant], **kwargs)
    model.network_kwargs = kwargs
    return model


def _five(given: Sequence[int] | None, default: Five) -> Five:
    return default if given is None else cast(Five, tuple(given))


def _head_widths(variant: str, given: Sequence[int] | None) -> tuple[int, int]:
    if given is None:
        return PRESETS[variant].head_widths
    if len(given) != 2:
        raise ValueError(f"head_widths takes two numbers, got {tuple(given)}")
    return (given[0], given[1])


BUILDERS: dict[str, Callable[..., EfficientViT]] = {
    **{IMAGE_PREFIX + variant: partial(_create_image, variant) for variant in PRESETS},
    **{VIDEO_PREFIX + variant: partial(_create_video, variant) for variant in PRESETS},
}
