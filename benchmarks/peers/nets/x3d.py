"""X3D-XS, S and M, which are one network at three input sizes.

After Feichtenhofer, "X3D: Expanding Architectures for Efficient Video Recognition", arXiv
2004.04730, table 1 with the expansion of X3D-M: width 2, depth 2.2, bottleneck 2.25.
"""

from __future__ import annotations

from torch import Tensor, nn

from benchmarks.peers.nets.rounding import divisible

WIDTHS = (24, 48, 96, 192)
DEPTHS = (3, 5, 11, 7)
_BOTTLENECK = 2.25
_HIDDEN = 2048
_CLASSES = 400


class X3d(nn.Module):
    """``(B, 3, T, H, W)`` -> ``(B, classes)``, for any number of frames and pixels."""

    def __init__(self, num_classes: int = _CLASSES) -> None:
        super().__init__()
        stem = WIDTHS[0]
        layers: list[nn.Module] = [
            nn.Conv3d(3, stem, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False),
            nn.Conv3d(stem, stem, (5, 1, 1), padding=(2, 0, 0), groups=stem, bias=False),
            nn.BatchNorm3d(stem),
            nn.ReLU(),
        ]
        width = stem
        for out, depth in zip(WIDTHS, DEPTHS, strict=True):
            for number in range(depth):
                layers.append(Block(width, out, 2 if number == 0 else 1, gated=number % 2 == 0))
                width = out
        inner = int(_BOTTLENECK * width)
        layers += [nn.Conv3d(width, inner, 1, bias=False), nn.BatchNorm3d(inner), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.pool = GlobalMean()
        self.classify = nn.Sequential(
            nn.Linear(inner, _HIDDEN, bias=False), nn.ReLU(), nn.Linear(_HIDDEN, num_classes)
        )

    def forward(self, clip: Tensor) -> Tensor:
        """One logit per class."""
        logits: Tensor = self.classify(self.pool(self.features(clip)).flatten(1))
        return logits


class Block(nn.Module):
    """1x1x1, depthwise 3x3x3 with a gate in every other block, 1x1x1, and a bypass."""

    def __init__(self, width: int, out: int, stride: int, *, gated: bool) -> None:
        super().__init__()
        inner, steps = int(_BOTTLENECK * out), (1, stride, stride)
        self.layers = nn.Sequential(
            nn.Conv3d(width, inner, 1, bias=False),
            nn.BatchNorm3d(inner),
            nn.ReLU(),
            nn.Conv3d(inner, inner, 3, steps, padding=1, groups=inner, bias=False),
            nn.BatchNorm3d(inner),
            Gate(inner) if gated else nn.Identity(),
            nn.SiLU(),
            nn.Conv3d(inner, out, 1, bias=False),
            nn.BatchNorm3d(out),
        )
        self.bypass: nn.Module = nn.Identity()
        if width != out:
            layers = [nn.Conv3d(width, out, 1, steps, bias=False), nn.BatchNorm3d(out)]
            self.bypass = nn.Sequential(*layers)
        elif stride == 2:
            self.bypass = nn.Conv3d(width, out, 1, steps, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Of half the height and width where the stride is 2."""
        return nn.functional.relu(self.bypass(x) + self.layers(x))


class Gate(nn.Module):
    """Squeeze and excitation over the whole clip, a sixteenth as wide."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = divisible(channels / 16)
        self.pool = GlobalMean()
        self.layers = nn.Sequential(
            nn.Conv3d(channels, hidden, 1), nn.ReLU(), nn.Conv3d(hidden, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """As it came, channel by channel between nothing and all of it."""
        gate: Tensor = self.layers(self.pool(x))
        return x * gate


class GlobalMean(nn.Module):
    """``(B, C, T, H, W)`` -> ``(B, C, 1, 1, 1)``."""

    def forward(self, x: Tensor) -> Tensor:
        """The mean of each channel."""
        return x.mean((2, 3, 4), keepdim=True)
