"""timm beside a CPU build of torch, in tests only.

torchvision's wheels are CUDA builds whose compiled part does not load there, and its Python part
then fails on operators that nobody defined. Networks use none of them, so empty ones will do.
"""

from __future__ import annotations

import warnings
from types import ModuleType

import torch


def import_timm() -> ModuleType:
    """Import timm, defining the operators that torchvision misses and nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs, about the same compiled part
        try:
            import torchvision  # noqa: F401
        except RuntimeError as error:
            if "torchvision::nms" not in str(error):
                raise
            _define_missing_operators()
        import timm
    return timm


def _define_missing_operators() -> None:
    schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", schema)
