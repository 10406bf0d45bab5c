"""Which number format the arithmetic runs in."""

from __future__ import annotations

from typing import Literal

import torch

from effvit_edge.core.errors import EnvironmentFault

Kind = Literal["fp32", "fp64", "bf16", "fp16"]

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Precision:
    """A recipe's ``speed.precision`` on a device.

    ``bf16`` and ``fp16`` are autocast: products run in half, weights and optimiser in float32. Half
    precision's gradients vanish below 6e-8, so that ``fp16`` scales the loss up before going back
    (Micikevicius et al. 2018, section 3.2); the scale falls when a gradient overflows.

    Attributes:
        dtype: of weights and clips.
        scaler: of the loss; does nothing but for ``fp16``.

    Raises:
        EnvironmentFault: this device does not compute in that format.
    """

    def __init__(self, kind: Kind, device: torch.device) -> None:
        self.kind = kind
        self.device = device
        self.dtype = torch.float64 if kind == "fp64" else torch.float32
        self.scaler = torch.amp.GradScaler(device.type, enabled=kind == "fp16")
        if kind in _AUTOCAST:
            self._check()

    def autocast(self) -> torch.autocast:
        """For the forward pass."""
        half = _AUTOCAST.get(self.kind, torch.bfloat16)
        return torch.autocast(self.device.type, half, enabled=self.kind in _AUTOCAST)

    @property
    def scale(self) -> float:
        """What the loss is multiplied by at present."""
        scale: float = self.scaler.get_scale()
        return scale

    def _check(self) -> None:
        """Train a small convolution, rather than fail in the middle of the first step."""
        convolution = torch.nn.Conv2d(2, 2, 3, groups=2, device=self.device)
        try:
            with self.autocast():
                answer = convolution(torch.zeros(1, 2, 4, 4, device=self.device))
            answer.float().sum().backward()
        except RuntimeError as error:
            raise EnvironmentFault(
                f"speed.precision: {self.device} does not train in {self.kind}: {error}. "
                f"Set it to fp32."
            ) from error
