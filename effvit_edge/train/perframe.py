"""A network as training calls it: one module from clips to the logits of frames."""

from __future__ import annotations

from torch import Tensor, nn

from effvit_edge.nn import EfficientViT
from effvit_edge.train.objective import frame_logits


class PerFrame(nn.Module):
    """Answers for every frame, in ``forward``, where DDP's and compile's hooks are.

    Args:
        network: of ``effvit_edge.nn``.
    """

    def __init__(self, network: EfficientViT) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: Tensor) -> Tensor:
        """``(B, 3, T, H, W) -> (B, T, C)``, or ``(B, 1, C)`` of centred networks."""
        return frame_logits(self.network, clips)
