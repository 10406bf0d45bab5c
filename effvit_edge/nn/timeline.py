"""The forms one network can be evaluated in: lowered clip, Conv3d clip, single streaming step.

Blocks never know which form runs. They hand the three operations that touch time to a *timeline*:
temporal convolutions, windowed sums (linear attention, pooling) and the layout of frames.

* ``LoweredClip``: frames on the batch axis, time-major ``(F, C, H, W)``, ``F = T·B``; temporal taps
  are 2D convolutions of all frames and shifted adds. No tensor has more than four axes.
* ``VolumeClip``: plain 3D convolutions on ``(B, C, T, H, W)``; what the others are held to.
* ``Step``: one new frame ``(B, C, H, W)``; taps become partial sums and windows become rings, both
  in a state that is taken and returned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from effvit_edge.nn.layers import Conv

COUNT_KEY = "count"


class Timeline(Protocol):
    """What blocks may ask of time.

    Attributes:
        batch_size: ``B``, clips or streams evaluated together.
    """

    batch_size: int

    def convolve(self, conv: Conv, x: Tensor) -> Tensor:
        """Apply ``conv`` with its temporal taps and temporal stride, bias once."""

    def to_frames(self, x: Tensor) -> Tensor:
        """From the timeline's layout to ``(F, C, H, W)``."""

    def from_frames(self, x: Tensor, like: Tensor) -> Tensor:
        """Back from ``to_frames`` to the layout and number of frames of ``like``."""

    def window_sum(self, key: str, x: Tensor) -> tuple[Tensor, Tensor | float]:
        """Sum ``x (F, ...)`` over each frame's window.

        Returns:
            The sums ``(F, ...)``, and how many frames each holds, broadcastable to four axes.
        """

    def window_frames(self, x: Tensor) -> int:
        """The most frames of ``x (F, ...)`` that one window sums, ``M``."""


def _tap_offset(conv: Conv, tap: int, causal: bool) -> int:
    """By how many frames a tap's product with frame ``t`` lies after ``t`` in the output."""
    newest = conv.kernel_frames - 1 if causal else conv.kernel_frames // 2
    return newest - tap


class LoweredClip:
    """Whole clips, frames on the batch axis, time-major.

    Args:
        batch_size: ``B``.
        causal: a frame sees itself and its past; otherwise the clip is seen as a whole.
        window: ``M``, frames an attention window sums (causal only).
        replicate: taps that reach beyond the clip see its first or last frame, not zeros.
    """

    def __init__(
        self, batch_size: int, *, causal: bool, window: int, replicate: bool = False
    ) -> None:
        self.batch_size = batch_size
        self.causal = causal
        self.window = window
        self.replicate = replicate

    def convolve(self, conv: Conv, x: Tensor) -> Tensor:
        """Every tap over all frames, then shifted adds."""
        if conv.kernel_frames == 1:
            return conv.convolve_frames(self._every(x, conv.stride_frames))
        total: Tensor | None = None
        for tap in reversed(range(conv.kernel_frames)):
            offset = _tap_offset(conv, tap, self.causal)
            if abs(offset) * self.batch_size >= x.shape[0] and not self.replicate:
                continue  # the tap reaches beyond the clip at every frame
            bias = offset == 0
            if conv.stride == 1:
                # moved before the product, which leaves a chain of sums that runtimes fuse
                product = conv.convolve_frames(self._shift(x, offset), tap, bias=bias)
            else:
                product = self._shift(conv.convolve_frames(x, tap, bias=bias), offset)
            total = product if total is None else total + product
        assert total is not None  # the tap at offset 0 always lies inside
        return self._every(total, conv.stride_frames)

    def _shift(self, x: Tensor, offset: int) -> Tensor:
        """Move frames ``offset`` later (earlier where negative); never in place."""
        if offset == 0:
            return x
        frames = min(abs(offset), x.shape[0] // self.batch_size)
        rows = frames * self.batch_size
        if self.replicate:
            edge = x[: self.batch_size] if offset > 0 else x[-self.batch_size :]
            entering = torch.cat([edge] * frames)
        else:
            entering = torch.zeros_like(x[:rows])
        return torch.cat([entering, x[:-rows]] if offset > 0 else [x[rows:], entering])

    def _every(self, x: Tensor, stride: int) -> Tensor:
        if stride == 1:
            return x
        # (F, C, H, W) -> (T, B·C·H·W): every stride-th row -> (F', C, H, W)
        kept = x.reshape(x.shape[0] // self.batch_size, -1)[::stride]
        return kept.reshape(-1, *x.shape[1:])

    def to_frames(self, x: Tensor) -> Tensor:
        """They are frames already."""
        return x

    def from_frames(self, x: Tensor, like: Tensor) -> Tensor:
        """They stay frames."""
        return x

    def window_sum(self, key: str, x: Tensor) -> tuple[Tensor, Tensor | float]:
        """By a band matrix over time (causal), or over the whole clip."""
        frames = x.shape[0] // self.batch_size
        if frames == 1:
            return x, 1.0
        rows = x.reshape(frames, -1)
        if not self.causal:
            total = rows.sum(0, keepdim=True).expand(frames, -1)
            return total.reshape(x.shape), float(frames)
        ones = torch.ones(frames, frames, dtype=x.dtype, device=x.device)
        band = ones.tril().triu(1 - self.window)
        counts = band.sum(1, keepdim=True).expand(frames, self.batch_size)
        return (band @ rows).reshape(x.shape), counts.reshape(-1, 1, 1, 1)

    def window_frames(self, x: Tensor) -> int:
        """``M``; centred: the frames of the clip."""
        return self.window if self.causal else x.shape[0] // self.batch_size


class VolumeClip(LoweredClip):
    """Whole clips as volumes ``(B, C, T, H, W)`` through ordinary 3D convolutions."""

    def convolve(self, conv: Conv, x: Tensor) -> Tensor:
        """One 3D convolution."""
        weight = conv.weight if conv.kernel_frames > 1 else conv.weight.unsqueeze(2)
        past = conv.kernel_frames - 1 if self.causal else conv.kernel_frames // 2
        future = conv.kernel_frames - 1 - past
        padding = (past, conv.padding, conv.padding)
        if past != future or self.replicate:
            mode = "replicate" if self.replicate else "constant"
            x = functional.pad(x, (0, 0, 0, 0, past, future), mode)
            padding = (0, conv.padding, conv.padding)
        stride = (conv.stride_frames, conv.stride, conv.stride)
        return functional.conv3d(x, weight, conv.bias, stride, padding, 1, conv.groups)

    def to_frames(self, x: Tensor) -> Tensor:
        """``(B, C, T, H, W) -> (T·B, C, H, W)``."""
        return x.permute(2, 0, 1, 3, 4).reshape(-1, x.shape[1], *x.shape[3:])

    def from_frames(self, x: Tensor, like: Tensor) -> Tensor:
        """``(T·B, C, H, W) -> (B, C, T, H, W)``."""
        frames = x.reshape(like.shape[2], self.batch_size, *x.shape[1:])
        return frames.permute(1, 2, 0, 3, 4)


class Step:
    """One new frame of every stream, ``(B, C, H, W)``, with the past in a state.

    A temporal convolution keeps its partial output sums ``pⁱ``, a window keeps the last ``M − 1``
    summands. ``next_state`` is complete after the network has run. Starting from ``state=None`` is
    starting from zeros.

    Args:
        batch_size: ``B``.
        window: ``M``.
        state: what ``next_state`` was after the frame before, or None.
    """

    def __init__(self, batch_size: int, *, window: int, state: Mapping[str, Tensor] | None) -> None:
        self.batch_size = batch_size
        self.window = window
        self.next_state: dict[str, Tensor] = {}
        self._state = state
        self._seen: Tensor | None = None

    def _previous(self, key: str, like: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The state's ``key``; a state for other frames could broadcast silently."""
        if self._state is None:
            return like.new_zeros(shape)
        if key not in self._state:
            raise ValueError(f"this state is of another network; it has no {key}")
        previous = self._state[key]
        if tuple(previous.shape) != shape:
            raise ValueError(
                f"the state's {key} is {tuple(previous.shape)}, these frames need {shape}: "
                f"call init_state(batch_size, height, width) for them"
            )
        return previous

    def convolve(self, conv: Conv, x: Tensor) -> Tensor:
        """The newest tap, plus what earlier frames left for this one."""
        if conv.kernel_frames == 1:
            return conv.convolve_frames(x)
        newest = conv.kernel_frames - 1
        keys = [f"{conv.state_key}_p{i}" for i in range(1, newest + 1)]
        y = conv.convolve_frames(x, newest)
        out = y + self._previous(keys[0], y, tuple(y.shape))
        for i, key in enumerate(keys, start=1):
            product = conv.convolve_frames(x, newest - i, bias=False)
            if i < newest:
                product = product + self._previous(keys[i], product, tuple(product.shape))
            self.next_state[key] = product
        return out

    def to_frames(self, x: Tensor) -> Tensor:
        """It is a frame already."""
        return x

    def from_frames(self, x: Tensor, like: Tensor) -> Tensor:
        """It stays a frame."""
        return x

    def window_sum(self, key: str, x: Tensor) -> tuple[Tensor, Tensor | float]:
        """The ring of the last ``M − 1`` summands and the new one, summed anew at each step."""
        if self.window == 1:
            return x, 1.0
        row = x.reshape(self.batch_size, 1, -1)
        ring = self.ring(key, row)
        self.next_state[key] = torch.cat([ring[:, 1:], row], dim=1)
        total = ring.sum(1, keepdim=True) + row
        return total.reshape(x.shape), self.frames_seen(x)

    def ring(self, key: str, row: Tensor) -> Tensor:
        """The last ``M − 1`` summands of a window, ``(B, M − 1, D)``, for a ``row (B, 1, D)``."""
        return self._previous(key, row, (self.batch_size, self.window - 1, row.shape[2]))

    def frames_seen(self, x: Tensor) -> Tensor:
        """``(B, 1, 1, 1)``: frames in the window, this one included, of the type of ``x``."""
        if self._seen is None:
            count = self._previous(COUNT_KEY, x, (self.batch_size, 1, 1, 1))
            self._seen = torch.clamp(count + 1.0, max=float(self.window))
            self.next_state[COUNT_KEY] = self._seen
        return self._seen

    def window_frames(self, x: Tensor) -> int:
        """``M``."""
        return self.window
