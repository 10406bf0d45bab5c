"""Multi-scale ReLU linear attention over space and time (Cai et al. 2023, section 3.1).

For the queries of frame ``t``, with ``S_f = [V_f; 1] · ReLU(K_f)ᵀ`` per head,

    out = num / (den + eps),   [num; den] = (Σ_f S_f) · ReLU(Q_t),

where ``f`` runs over the frame's window: the last ``M`` frames (causal) or the whole clip. Two
factors cancel in the ratio and keep FP16 in range: ``core.attention_op.key_factor`` on the keys and
each query's own sum, which makes ``[num; den]`` a weighted mean of the summary's columns.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from effvit_edge.core.attention_op import key_factor
from effvit_edge.nn.layers import Conv, ConvNorm
from effvit_edge.nn.timeline import Timeline

_LEAST_NORMAL = 2.0**-14  # of half precision


def relu_linear_attention(
    query: Tensor, key: Tensor, value: Tensor, *, eps: float, time: Timeline, state_key: str
) -> Tensor:
    """Attend from every token to the tokens of its window.

    Args:
        query: ``(F, heads, d, H·W)``, before the ReLU.
        key: the same.
        value: the same; no ReLU is applied.
        eps: added to the denominator in the image network's own scale.
        time: sums over windows.
        state_key: names the window's ring in a streaming state.

    Returns:
        ``(F, heads, d, H·W)``. All-zero queries or keys give zeros.
    """
    dim, tokens = query.shape[2], query.shape[3]
    factor = key_factor(time.window_frames(query) * tokens)
    key = torch.relu(key) * factor
    query = torch.relu(query)
    # (F, heads, 1, N); a divisor that is raised cancels all the same
    query_sum = query.sum(2, keepdim=True).clamp(min=_LEAST_NORMAL)

    # (F, heads, d + 1, d): numerator rows, then the denominator's row
    summary = torch.cat([value @ key.transpose(2, 3), key.sum(3).unsqueeze(2)], dim=2)
    summary, frames_summed = time.window_sum(state_key, summary)

    out = summary @ (query / query_sum)  # (F, heads, d + 1, N)
    scaled_eps = frames_summed * (eps * factor) / query_sum
    # FP16: _LEAST_NORMAL; in float32 it only keeps 0 / 0 away where eps is lost as well
    denominator = (out[:, :, dim:] + scaled_eps).clamp(min=torch.finfo(out.dtype).tiny)
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
        out = self.attend(frames.reshape(frames.shape[0], heads, 3 * self.head_dim, -1), time)
        out = out.reshape(frames.shape[0], -1, *frames.shape[2:])  # (F, 2C, H, W)
        projected: Tensor = self.proj(time.from_frames(out, like=x), time)
        return projected

    def attend(self, qkv: Tensor, time: Timeline) -> Tensor:
        """``(F, heads, 3d, N) -> (F, heads, d, N)``; what an export may write as one operator."""
        query, key, value = qkv.split(self.head_dim, dim=2)
        return relu_linear_attention(
            query, key, value, eps=self.eps, time=time, state_key=self.state_key
        )
