"""The same attention as kernels and as torch operators, on tensors of one device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from effvit_edge.engine.plugin.library import Kernels
from effvit_edge.engine.plugin.shape import AttentionShape
from effvit_edge.nn.attention import relu_linear_attention
from effvit_edge.nn.efficientvit.presets import PRESETS
from effvit_edge.nn.timeline import COUNT_KEY, LoweredClip, Step

_KEY = "ring"
_STRIDES = {3: 16, 4: 32}  # of the stages with attention
_WITH_ATTENTION = {"b": (3, 4), "l": (4,)}


@dataclass(frozen=True)
class Case:
    """One attention layer of a preset: ``name`` and its sizes."""

    name: str
    heads: int
    head_dim: int
    tokens: int


def cases(variants: tuple[str, ...], size: int) -> Iterator[Case]:
    """The attention layers of ``variants`` for square pictures of ``size`` pixels."""
    for variant in variants:
        preset = PRESETS[variant]
        for stage in _WITH_ATTENTION[preset.series]:
            heads = 2 * preset.widths[stage] // preset.head_dim  # at two scales
            side = -(-size // _STRIDES[stage])
            yield Case(f"{variant} stage {stage}", heads, preset.head_dim, side * side)


def draw(shape: AttentionShape, device: torch.device, sigma: float = 1.0) -> Tensor:
    """Queries, keys and values ``(F, heads, 3d, N)``, values biased."""
    generator = torch.Generator().manual_seed(0)
    rows = shape.batch * shape.frames
    qkv = torch.randn(rows, shape.heads, 3 * shape.head_dim, shape.tokens, generator=generator)
    qkv[:, :, 2 * shape.head_dim :] += 1
    return (qkv * sigma).to(device, dtype_of(shape.storage))


def dtype_of(storage: str) -> torch.dtype:
    """Torch's name of a storage."""
    return torch.float16 if storage == "float16" else torch.float32


class KernelCall:
    """The kernels on fixed buffers; calling it starts them on torch's current stream.

    Attributes:
        qkv: the input, ``(F, heads, 3d, N)``.
        out: the answer, ``(F, heads, d, N)``.
        ring: of a step, ``(B, M − 1, heads·(d + 1)·d)``; renewed in place.
        frames_seen: of a step, ``(B, 1, 1, 1)``, to be set before the call.
    """

    def __init__(self, kernels: Kernels, shape: AttentionShape, qkv: Tensor, *, step: bool) -> None:
        self._kernels = kernels
        self._shape = shape
        self._step = step
        self.qkv = qkv.clone()
        self.out = torch.full_like(qkv[:, :, : shape.head_dim], torch.nan).contiguous()
        size = kernels.workspace_bytes(shape) // 4
        self.workspace = torch.full((size,), torch.nan, device=qkv.device)
        state = torch.zeros(1, device=qkv.device, dtype=dtype_of(shape.state_storage))
        self.ring = state.new_zeros(shape.ring if step else (1,))
        self.frames_seen = state.new_ones((shape.batch, 1, 1, 1))

    def __call__(self) -> None:
        """Start the kernels; they may not have ended on return."""
        is_cuda = self.qkv.is_cuda
        buffers = {
            "qkv": self.qkv.data_ptr(),
            "out": self.out.data_ptr(),
            "workspace": self.workspace.data_ptr(),
            "stream": torch.cuda.current_stream().cuda_stream if is_cuda else 0,
        }
        if not self._step:
            self._kernels.clip(self._shape, **buffers)
            return
        ring = self.ring.data_ptr()
        seen = self.frames_seen.data_ptr()
        self._kernels.step(self._shape, ring=ring, next_ring=ring, frames_seen=seen, **buffers)


def torch_clip(shape: AttentionShape, qkv: Tensor) -> Tensor:
    """The network's own operators over a clip, in the type of ``qkv``."""
    time = LoweredClip(shape.batch, causal=shape.causal, window=shape.window)
    return _attend(shape, qkv, time)


def torch_step(shape: AttentionShape, qkv: Tensor, ring: Tensor, count: Tensor) -> Tensor:
    """The network's own operators over one frame; ``ring`` and ``count`` are renewed in place."""
    time = Step(shape.batch, window=shape.window, state={_KEY: ring, COUNT_KEY: count})
    out = _attend(shape, qkv, time)
    ring.copy_(time.next_state[_KEY])
    count.copy_(time.next_state[COUNT_KEY])
    return out


def _attend(shape: AttentionShape, qkv: Tensor, time: LoweredClip | Step) -> Tensor:
    query, key, value = qkv.split(shape.head_dim, dim=2)
    return relu_linear_attention(query, key, value, eps=shape.eps, time=time, state_key=_KEY)


def torch_call(shape: AttentionShape, qkv: Tensor, *, step: bool) -> Callable[[], Tensor]:
    """Torch's operators on fixed buffers, for timing."""
    if not step:
        return lambda: torch_clip(shape, qkv)
    ring = torch.zeros(shape.ring, device=qkv.device, dtype=qkv.dtype)
    count = torch.full((shape.batch, 1, 1, 1), shape.window, device=qkv.device, dtype=qkv.dtype)
    return lambda: torch_step(shape, qkv, ring, count)
