"""The attention by its quadratic formula in float64, and kernels called with numpy arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from effvit_edge.engine.plugin.library import Kernels
from effvit_edge.engine.plugin.shape import AttentionShape

Array = NDArray[np.generic]


def draw(
    seed: int, frames: int, heads: int, dim: int, tokens: int, sigma: float = 1.0, bias: float = 0.0
) -> NDArray[np.float32]:
    """Queries, keys and values ``(frames, heads, 3·dim, tokens)``; values have mean bias·sigma."""
    qkv = np.random.default_rng(seed).standard_normal((frames, heads, 3 * dim, tokens))
    qkv[:, :, 2 * dim :] += bias
    return (qkv * sigma).astype(np.float32)


def windows(shape: AttentionShape) -> list[range]:
    """The times that each time of a clip attends to."""
    if not shape.causal:
        return [range(shape.frames)] * shape.frames
    return [range(max(0, t - shape.window + 1), t + 1) for t in range(shape.frames)]


def quadratic(shape: AttentionShape, qkv: Array) -> NDArray[np.float64]:
    """Every query against every key of its window, ``eps`` once a frame; (F, heads, d, N)."""
    wide = qkv.astype(np.float64)
    wide = wide.reshape(shape.frames, shape.batch, shape.heads, 3, shape.head_dim, shape.tokens)
    out = np.zeros((shape.frames, shape.batch, shape.heads, shape.head_dim, shape.tokens))
    for time, window in enumerate(windows(shape)):
        query = np.maximum(wide[time, :, :, 0], 0)  # (B, heads, d, N)
        past = wide[window.start : window.stop]
        weights = np.einsum("bhdn,fbhdm->bhnfm", query, np.maximum(past[:, :, :, 1], 0))
        total = weights.sum((3, 4))[:, :, None] + shape.eps * len(window)
        numerator = np.einsum("bhnfm,fbhdm->bhdn", weights, past[:, :, :, 2])
        out[time] = np.divide(numerator, total, out=np.zeros_like(numerator), where=total > 0)
    return out.reshape(-1, *out.shape[2:])


def summaries(shape: AttentionShape, qkv: Array) -> NDArray[np.float64]:
    """The scaled summary of each frame, ``(F, heads·(d + 1)·d)``, from its definition."""
    wide = qkv.astype(np.float64).reshape(-1, shape.heads, 3, shape.head_dim, shape.tokens)
    window = shape.window * shape.tokens
    keys = np.maximum(wide[:, :, 1], 0) * max(2, 0.2 * np.sqrt(window)) / window
    ones = np.ones_like(wide[:, :, 2, :1])
    values = np.concatenate([wide[:, :, 2], ones], axis=2)
    return np.einsum("fhin,fhjn->fhij", values, keys).reshape(wide.shape[0], -1)


def _scratch(kernels: Kernels, shape: AttentionShape) -> Array:
    # NaN everywhere: what is read before it is written shows
    return np.full(kernels.workspace_bytes(shape) // 4, np.nan, np.float32)


def run_clip(kernels: Kernels, shape: AttentionShape, qkv: Array) -> Array:
    """``(F, heads, 3d, N) -> (F, heads, d, N)``, of the shape's storage."""
    qkv = np.ascontiguousarray(qkv.astype(shape.storage))
    out = np.full((qkv.shape[0], shape.heads, shape.head_dim, shape.tokens), np.nan, shape.storage)
    scratch = _scratch(kernels, shape)
    address = scratch.ctypes.data
    kernels.clip(shape, qkv=qkv.ctypes.data, out=out.ctypes.data, workspace=address, stream=0)
    return out


def run_step(
    kernels: Kernels, shape: AttentionShape, qkv: Array, ring: Array, seen: int, *, in_place: bool
) -> tuple[Array, Array]:
    """One frame ``(B, heads, 3d, N)`` and the ring -> the answer and the next ring."""
    qkv = np.ascontiguousarray(qkv.astype(shape.storage))
    before = ring.copy()
    after = before if in_place else np.full_like(ring, np.nan)
    counts = np.full(shape.batch, seen, shape.state_storage)
    out = np.full((shape.batch, shape.heads, shape.head_dim, shape.tokens), np.nan, shape.storage)
    scratch = _scratch(kernels, shape)
    kernels.step(
        shape,
        qkv=qkv.ctypes.data,
        ring=before.ctypes.data,
        frames_seen=counts.ctypes.data,
        out=out.ctypes.data,
        next_ring=after.ctypes.data,
        workspace=scratch.ctypes.data,
        stream=0,
    )
    return out, after


def run_steps(
    kernels: Kernels, shape: AttentionShape, qkv: Array, *, in_place: bool = False
) -> Array:
    """A whole sequence ``(T·B, heads, 3d, N)`` frame by frame -> ``(T·B, heads, d, N)``."""
    ring = np.zeros(shape.ring, shape.state_storage)
    answers = []
    for time in range(qkv.shape[0] // shape.batch):
        frame = qkv[time * shape.batch : (time + 1) * shape.batch]
        seen = min(time + 1, shape.window)
        out, ring = run_step(kernels, shape, frame, ring, seen, in_place=in_place)
        answers.append(out)
    return np.concatenate(answers)


def largest_error(got: Array, expected: NDArray[np.float64], qkv: Array) -> float:
    """The largest difference relative to the largest value: answers are weighted means of them."""
    values = np.abs(qkv.astype(np.float64)[:, :, 2 * qkv.shape[2] // 3 :]).max()
    return float(np.abs(got.astype(np.float64) - expected).max() / max(values, 1e-300))
