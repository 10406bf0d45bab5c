"""Augmentations that torchvision has: RandAugment and random erasing, imported when asked for."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

import numpy as np

from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.core.optional import install_line
from effvit_edge.data.types import Frames

_ERASED_AREA = (0.02, 0.33)
"""Range of the erased share of the picture, as in Zhong et al., arXiv:1708.04896."""


class BorrowedTransforms:
    """``torchvision.transforms.v2`` on whole clips: it draws once for all leading dimensions.

    RandAugment (Cubuk et al., arXiv:1909.13719) has no mirroring, so direction survives it.

    Args:
        mean: colour of what comes into the picture or is erased, RGB in 0..1; it normalises to 0.
        randaugment: operations a clip and their magnitude, 0 to 30; empty for none.
        erase: probability that one box is erased.

    Raises:
        EnvironmentFault: torchvision cannot be imported.
    """

    def __init__(
        self, mean: tuple[float, float, float], randaugment: tuple[int, ...], erase: float
    ) -> None:
        v2 = _transforms()
        fill = [round(255 * value) for value in mean]
        self._steps = []
        if randaugment:
            operations, magnitude = randaugment
            self._steps.append(
                v2.RandAugment(
                    operations,
                    magnitude,
                    interpolation=v2.InterpolationMode.BILINEAR,
                    fill=fill,
                )
            )
        if erase:
            self._steps.append(v2.RandomErasing(erase, scale=_ERASED_AREA, value=fill))

    def __call__(self, clip: Frames, rng: np.random.Generator) -> Frames:
        """``(T, H, W, 3)`` uint8 of the same shape; drawn from ``rng`` and nothing else."""
        import torch

        frames = torch.from_numpy(clip).permute(0, 3, 1, 2)
        with torch.random.fork_rng(devices=[]):  # theirs is the global generator
            torch.manual_seed(int(rng.integers(2**63)))
            for step in self._steps:
                frames = step(frames)
        result: Frames = frames.permute(0, 2, 3, 1).contiguous().numpy()
        return result


def _transforms() -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about reading pictures, which it is not used for
            return importlib.import_module("torchvision.transforms.v2")
    except (ImportError, RuntimeError, OSError) as error:  # its wheels fit one build of torch
        raise EnvironmentFault(
            f"augment.randaugment and augment.erase need torchvision, which cannot be imported "
            f"({str(error).splitlines()[0]}). Install the one that belongs to this torch "
            f"({install_line('train')}), or leave both out."
        ) from error
