"""Multi-scale ReLU linear attention (Cai et al. 2023, EfficientViT, section 3.1), over space and time.

For the queries of frame ``t``, with ``S_f = [V_f; 1] · ReLU(K_f)ᵀ`` per head,

    out = num / (den + eps),   [num; den] = (Σ_f S_f) · ReLU(Q_t),

where ``f`` runs over the frame's window: the last ``M`` frames (causal) or the whole clip. Two factors
cancel in the ratio and keep FP16 in range: ``1/(M·H·W)`` on the keys and each query's own maximum.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from effvit_edge.nn.layers import Conv, ConvNorm
from effvit_edge.nn.timeline import Timeline


def relu_linear_attention(
    query: Tensor, key: Tensor, value: Tensor, *, eps: float, time: Timeline, state_key: str
) -> Tensor:
    """Attend from every token to the tokens of its window.

    Args:
        query, key, value: ``(F, heads, d, H·W)``, before the ReLU.
        eps: added to the denominator in the image network's own scale.
        time: sums over windows.
        state_key: names the window's ring in a streaming state.

    Returns:
        ``(F, heads, d, H·W)``. All-zero queries or keys give zeros.
    """
    dim, tokens = query.shape[2], query.shape[3]
    smallest = torch.finfo(query.dtype).tiny  # FP16: 2⁻¹⁴, the smallest normal number
    window_tokens = time.window_frames(query) * tokens
    key = torch.relu(key) * (1.0 / window_tokens)
    query = torch.relu(query)
    peak = query.amax(dim=2, keepdim=True).clamp(min=smallest)  # (F, heads, 1, N)

    # (F, heads, d + 1, d): numerator rows, then the denominator's row
    summary = torch.cat([value @ key.transpose(2, 3), key.sum(3).unsqueeze(2)], dim=2)
    summary, frames_summed = time.window_sum(state_key, summary)

    out = summary @ (query / peak)  # (F, heads, d + 1, N)
    scaled_eps = frames_summed * (eps / window_tokens) / peak
    denominator = (out[:, :, dim:] + scaled_eps).clamp(min=smallest)
    return out[:, :, :dim] / denominator


class LinearAttention(nn.Module):
    """LiteMLA: queries, keys and values at two scales, linear attention, projection.

    Args:
        channels: ``C``; ``C / head_dim`` heads per scale.
        head_dim: ``d``.
        norm_eps: of the projection's BatchNorm.
        eps: of the attention's denominator (timm 1e-5, the official code 1e-15).
        kernel_frames: temporal taps of the 5×5 aggregation.
    """

    def __init__(
        self, channels: int, *, head_dim: int, norm_eps: float, eps: float, kernel_frames: int
    ) -> None:
        super().__init__()
        if channels % head_dim:
            raise ValueError(f"channels ({channels}) must be a multiple of head_dim ({head_dim})")
        self.head_dim = head_dim
        self.eps = eps
        self.state_key = ""
        width, heads = 3 * channels, channels // head_dim
        self.qkv = Conv(channels, width, 1)
        self.aggregate_space = Conv(width, width, 5, groups=width, kernel_frames=kernel_frames)
        self.aggregate_heads = Conv(width, width, 1, groups=3 * heads)
        self.proj = ConvNorm(2 * channels, channels, norm_eps=norm_eps)

    def forward(self, x: Tensor, time: Timeline) -> Tensor:
        """``(F, C, H, W) -> (F, C, H, W)``."""
        qkv = self.qkv(x, time)
        aggregated = self.aggregate_heads(self.aggregate_space(qkv, time), time)
        frames = time.to_frames(torch.cat([qkv, aggregated], dim=1))
        # (F, 6C, H, W) -> (F, heads, 3d, N); the channels of a head are its q, k and v in turn
        heads = frames.shape[1] // (3 * self.head_dim)
        per_head = frames.reshape(frames.shape[0], heads, 3 * self.head_dim, -1)
        query, key, value = per_head.split(self.head_dim, dim=2)
        out = relu_linear_attention(
            query, key, value, eps=self.eps, time=time, state_key=self.state_key
        )
        out = out.reshape(frames.shape[0], -1, *frames.shape[2:])  # (F, 2C, H, W)
        return self.proj(time.from_frames(out, like=x), time)
