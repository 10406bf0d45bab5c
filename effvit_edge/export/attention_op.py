"""Tracing linear attention as one operator instead of products; its body is `attention_body`'s."""

from __future__ import annotations

import torch
from torch import Tensor

from effvit_edge.core.attention_op import CLIP_OP, DOMAIN, OPSET, STEP_OP
from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.nn import EfficientViT
from effvit_edge.nn.attention import LinearAttention
from effvit_edge.nn.timeline import LoweredClip, Step, Timeline


def use_operator(model: EfficientViT) -> None:
    """From now on, tracing this network writes its attention as operators. It cannot run any more.

    Args:
        model: a copy made for the export.

    Raises:
        EnvironmentFault: torch cannot write operators of other domains.
    """
    if not hasattr(torch.onnx, "ops"):
        raise EnvironmentFault(
            f"torch {torch.__version__} cannot write the attention as one operator. Install torch "
            "2.8 or later, or export with --attention native."
        )
    for module in model.modules():
        if isinstance(module, LinearAttention):
            module.__class__ = _OperatorAttention


class _OperatorAttention(LinearAttention):
    """Attention that stands in the graph as one node."""

    def attend(self, qkv: Tensor, time: Timeline) -> Tensor:
        """See :meth:`LinearAttention.attend`."""
        if isinstance(time, Step) and time.window > 1:
            return self._step(qkv, time)
        causal = not isinstance(time, LoweredClip) or time.causal
        return torch.onnx.ops.symbolic(
            f"{DOMAIN}::{CLIP_OP}",
            [qkv],
            {
                "eps": self.eps,
                "window": time.window_frames(qkv),
                "causal": int(causal),
                "batch": time.batch_size,
            },
            dtype=qkv.dtype,
            shape=self._answers(qkv),
            version=OPSET,
        )

    def _step(self, qkv: Tensor, time: Step) -> Tensor:
        heads = qkv.shape[1]
        row = qkv.new_zeros(qkv.shape[0], 1, heads * (self.head_dim + 1) * self.head_dim)
        ring = time.ring(self.state_key, row)
        out, time.next_state[self.state_key] = torch.onnx.ops.symbolic_multi_out(
            f"{DOMAIN}::{STEP_OP}",
            [qkv, ring, time.frames_seen(qkv)],
            {"eps": self.eps},
            dtypes=(qkv.dtype, ring.dtype),
            shapes=(self._answers(qkv), tuple(ring.shape)),
            version=OPSET,
        )
        return out

    def _answers(self, qkv: Tensor) -> tuple[int, ...]:
        return qkv.shape[0], qkv.shape[1], self.head_dim, qkv.shape[3]
