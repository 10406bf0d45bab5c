"""MobileNetV2 with the temporal shift, frame by frame.

After Lin, Gan, Han, "TSM: Temporal Shift Module for Efficient Video Understanding", arXiv
1811.08383, section 4.2: before the first convolution of each residual branch, an eighth of the
channels is taken from the frame before. The 2D network is torchvision's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.peers.nets.borrowed import torchvision_models

_SHARE = 8
_CLASSES = 400


class TsmMobileNet(nn.Module):
    """The network with random weights; ``step`` is the online form, ``forward`` that of a clip."""

    def __init__(self, num_classes: int = _CLASSES) -> None:
        super().__init__()
        self.network = torchvision_models().mobilenet_v2(weights=None, num_classes=num_classes)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames ``(T, 3, H, W)`` of a video -> ``(T, classes)``, of each frame and all before."""
        x = frames
        for layer in self.network.features:
            if _shifts(layer):
                share = x.shape[1] // _SHARE
                earlier = nn.functional.pad(x[:-1, :share], (0, 0, 0, 0, 0, 0, 1, 0))
                x = x + layer.conv(torch.cat([earlier, x[:, share:]], dim=1))
            else:
                x = layer(x)
        return self._classify(x)

    def init_state(self, size: int) -> list[Tensor]:
        """What the frame before the first left: zeros."""
        state, side = [], size
        for layer in self.network.features:
            if _shifts(layer):
                state.append(torch.zeros(1, _width(layer) // _SHARE, side, side))
            elif any(_halves(module) for module in layer.modules()):
                side = -(-side // 2)
        return state

    def step(self, frame: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """A frame ``(1, 3, H, W)`` and the state -> logits ``(1, classes)`` and the next state."""
        x, before, after = frame, list(state), []
        for layer in self.network.features:
            if _shifts(layer):
                share = x.shape[1] // _SHARE
                after.append(x[:, :share])
                x = x + layer.conv(torch.cat([before.pop(0), x[:, share:]], dim=1))
            else:
                x = layer(x)
        return (self._classify(x), *after)

    def _classify(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network.classifier(x.mean((2, 3)))
        return logits


def _shifts(layer: Any) -> bool:
    return bool(getattr(layer, "use_res_connect", False))


def _width(layer: Any) -> int:
    return int(layer.conv[0][0].in_channels)


def _halves(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.stride[0] == 2
