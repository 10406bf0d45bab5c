"""The blocks EfficientViT is wired from (Cai et al. 2023, section 3.2 and figure 5).

``kernel_frames`` and ``stride_frames`` belong to each block's spatial convolution: the depthwise
one of an inverted bottleneck, the dense one of a fused block, the first of a residual block.
"""

from __future__ import annotations

from torch import Tensor, nn

from effvit_edge.nn.attention import LinearAttention
from effvit_edge.nn.layers import ConvNorm, DropPath, make_activation
from effvit_edge.nn.timeline import Timeline


class DepthwiseSeparable(nn.Module):
    """Depthwise 3×3, then pointwise without activation, with a residual."""

    def __init__(
        self,
        channels: int,
        *,
        norm_eps: float,
        activation: str,
        kernel_frames: int,
        drop_path: float,
    ) -> None:
        super().__init__()
        self.depth_conv = ConvNorm(
            channels,
            channels,
            3,
            groups=channels,
            norm_eps=norm_eps,
            activation=activation,
            kernel_frames=kernel_frames,
        )
        self.point_conv = ConvNorm(channels, channels, norm_eps=norm_eps)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, time: Timeline) -> Tensor:
        """``(F, C, H, W) -> (F, C, H, W)``."""
        return x + self.drop_path(self.point_conv(self.depth_conv(x, time), time), time)


class ResBlock(nn.Module):
    """Two dense 3×3 convolutions with a residual (stem of the L networks)."""

    def __init__(
        self,
        channels: int,
        *,
        norm_eps: float,
        activation: str,
        kernel_frames: int,
        drop_path: float,
    ) -> None:
        super().__init__()
        self.conv1 = ConvNorm(
            channels,
            channels,
            3,
            norm_eps=norm_eps,
            activation=activation,
            kernel_frames=kernel_frames,
        )
        self.conv2 = ConvNorm(channels, channels, 3, norm_eps=norm_eps)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, time: Timeline) -> Tensor:
        """``(F, C, H, W) -> (F, C, H, W)``."""
        return x + self.drop_path(self.conv2(self.conv1(x, time), time), time)


class MBConv(nn.Module):
    """Inverted bottleneck; the residual is there where input and output have one shape.

    With ``fewer_norm`` only the last convolution is normalised and the others have a bias.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expand: int,
        norm_eps: float,
        activation: str,
        stride: int = 1,
        fewer_norm: bool = False,
        kernel_frames: int = 1,
        stride_frames: int = 1,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        middle = in_channels * expand
        inner_eps = None if fewer_norm else norm_eps
        self.inverted_conv = ConvNorm(
            in_channels, middle, norm_eps=inner_eps, activation=activation
        )
        self.depth_conv = ConvNorm(
            middle,
            middle,
            3,
            stride=stride,
            groups=middle,
            norm_eps=inner_eps,
            activation=activation,
            kernel_frames=kernel_frames,
            stride_frames=stride_frames,
        )
        self.point_conv = ConvNorm(middle, out_channels, norm_eps=norm_eps)
        self.residual = stride == stride_frames == 1 and in_channels == out_channels
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, time: Timeline) -> Tensor:
        """``(F, I, H, W) -> (F', O, H', W')``."""
        out = self.depth_conv(self.inverted_conv(x, time), time)
        out = self.point_conv(out, time)
        return x + self.drop_path(out, time) if self.residual else out


class FusedMBConv(nn.Module):
    """Inverted bottleneck whose expansion is one dense 3×3 convolution (early stages of L)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expand: int,
        norm_eps: float,
        activation: str,
        stride: int = 1,
        kernel_frames: int = 1,
        stride_frames: int = 1,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        middle = in_channels * expand
        self.spatial_conv = ConvNorm(
            in_channels,
            middle,
            3,
            stride=stride,
            norm_eps=norm_eps,
            activation=activation,
            kernel_frames=kernel_frames,
            stride_frames=stride_frames,
        )
        self.point_conv = ConvNorm(middle, out_channels, norm_eps=norm_eps)
        self.residual = stride == stride_frames == 1 and in_channels == out_channels
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, time: Timeline) -> Tensor:
        """``(F, I, H, W) -> (F', O, H', W')``."""
        out = self.point_conv(self.spatial_conv(x, time), time)
        return x + self.drop_path(out, time) if self.residual else out


class AttentionBlock(nn.Module):
    """Linear attention for context, an inverted bottleneck for detail, each with a residual."""

    def __init__(
        self,
        channels: int,
        *,
        head_dim: int,
        expand: int,
        norm_eps: float,
        eps: float,
        activation: str,
        kernel_frames: int,
        drop_path: float,
    ) -> None:
        super().__init__()
        self.attention = LinearAttention(
            channels, head_dim=head_dim, norm_eps=norm_eps, eps=eps, kernel_frames=kernel_frames
        )
        self.drop_path = DropPath(drop_path)
        self.local = MBConv(
            channels,
            channels,
            expand=expand,
            norm_eps=norm_eps,
            activation=activation,
            fewer_norm=True,
            kernel_frames=kernel_frames,
            drop_path=drop_path,
        )

    def forward(self, x: Tensor, time: Timeline) -> Tensor:
        """``(F, C, H, W) -> (F, C, H, W)``."""
        x = x + self.drop_path(self.attention(x, time), time)
        return self.local(x, time)


class Head(nn.Module):
    """1×1 convolution, mean over each frame and its window, two linear layers.

    A causal window is averaged over as many frames as have been seen, so the first frames of a
    stream are not diluted.
    """

    def __init__(
        self,
        in_channels: int,
        widths: tuple[int, int],
        num_classes: int,
        *,
        norm_eps: float,
        activation: str,
        dropout: float,
    ) -> None:
        super().__init__()
        self.state_key = ""
        self.in_conv = ConvNorm(in_channels, widths[0], norm_eps=norm_eps, activation=activation)
        self.hidden = nn.Linear(widths[0], widths[1], bias=False)
        self.norm = nn.LayerNorm(widths[1], eps=norm_eps)
        self.activation = make_activation(activation)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(widths[1], num_classes)

    def pool(self, x: Tensor, time: Timeline) -> Tensor:
        """The network's last feature map -> one feature a frame, ``(F, widths[0])``."""
        frames = time.to_frames(self.in_conv(x, time))
        pooled, count = time.window_sum(self.state_key, frames.mean((2, 3), keepdim=True))
        return (pooled / count).flatten(1)

    def classify(self, pooled: Tensor) -> Tensor:
        """``(..., widths[0]) -> (..., num_classes)``."""
        hidden = self.activation(self.norm(self.hidden(pooled)))
        logits: Tensor = self.classifier(self.dropout(hidden))
        return logits
