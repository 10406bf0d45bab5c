"""torchvision, also where its compiled part does not fit the torch that is installed.

Its wheels are built for CUDA. Beside a CPU build of torch its Python part fails on two operators
that nobody defined; networks use neither, so empty ones will do.
"""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import torch

_MISSING = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def torchvision_models() -> Any:
    """The module ``torchvision.models``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs, about the same compiled part
        try:
            return importlib.import_module("torchvision.models")
        except RuntimeError as error:
            if "torchvision::nms" not in str(error):
                raise
        for name in _MISSING:
            if not hasattr(torch.ops.torchvision, name):
                torch.library.define(f"torchvision::{name}", _SCHEMA)
        return importlib.import_module("torchvision.models")
