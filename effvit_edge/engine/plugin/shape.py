"""What the attention kernels must know about tensors, and which of it the operator's fields say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from effvit_edge.core.errors import InputError
from effvit_edge.engine.plugin import HEAD_DIMS

Storage = Literal["float32", "float16"]


@dataclass(frozen=True)
class AttentionShape:
    """Sizes of one call; the names are those of ``kernels/api.h``.

    Attributes:
        batch: ``B``.
        frames: ``T``; 1 for a step.
        heads: of every frame.
        head_dim: ``d``, 16 or 32.
        tokens: ``N``, of a frame.
        window: ``M``; of a clip that is not causal it is ``T``.
        eps: in the scale of the image network.
        causal: a frame sees itself and its past; otherwise the whole clip.
        storage: of ``qkv`` and ``out``.
        state_storage: of the ring and ``frames_seen`` of a step.
    """

    batch: int
    frames: int
    heads: int
    head_dim: int
    tokens: int
    window: int
    eps: float
    causal: bool = True
    storage: Storage = "float32"
    state_storage: Storage = "float32"

    @property
    def matrix(self) -> int:
        """Numbers in the summary of one frame and head, ``(d + 1)·d``."""
        return (self.head_dim + 1) * self.head_dim

    @property
    def rows(self) -> int:
        """Heads of all frames, ``F·heads``."""
        return self.batch * self.frames * self.heads

    @property
    def ring(self) -> tuple[int, int, int]:
        """The shape of a step's ring, ``(B, M − 1, heads·(d + 1)·d)``."""
        return self.batch, self.window - 1, self.heads * self.matrix


def clip_shape(
    qkv: Sequence[int],
    *,
    eps: float,
    window: int,
    causal: bool,
    batch: int,
    storage: Storage = "float32",
) -> AttentionShape:
    """The shape of a clip from ``qkv (T·B, heads, 3d, N)`` and the operator's fields.

    Raises:
        InputError: the sizes do not fit each other.
    """
    rows, heads, head_dim, tokens = _split(qkv)
    if batch < 1 or rows % batch:
        raise InputError(f"A clip of {rows} frames cannot hold {batch} clips of equal length.")
    if causal and window < 1:
        raise InputError(f"A causal clip needs a window of at least one frame, not {window}.")
    frames = rows // batch
    return AttentionShape(
        batch=batch,
        frames=frames,
        heads=heads,
        head_dim=head_dim,
        tokens=tokens,
        window=window if causal else frames,
        eps=eps,
        causal=causal,
        storage=storage,
    )


def step_shape(
    qkv: Sequence[int],
    ring: Sequence[int],
    *,
    eps: float,
    storage: Storage = "float32",
    state_storage: Storage = "float32",
) -> AttentionShape:
    """The shape of a step from ``qkv (B, heads, 3d, N)`` and ``ring (B, M − 1, D)``.

    Raises:
        InputError: the sizes do not fit each other.
    """
    batch, heads, head_dim, tokens = _split(qkv)
    window = ring[1] + 1 if len(ring) == 3 else 0
    shape = AttentionShape(
        batch=batch,
        frames=1,
        heads=heads,
        head_dim=head_dim,
        tokens=tokens,
        window=window,
        eps=eps,
        storage=storage,
        state_storage=state_storage,
    )
    if window < 2 or tuple(ring) != shape.ring:
        raise InputError(
            f"A ring of shape {tuple(ring)} does not belong to queries, keys and values of shape "
            f"{tuple(qkv)}: expected (B, M - 1, heads * (d + 1) * d) with M of at least 2."
        )
    return shape


def _split(qkv: Sequence[int]) -> tuple[int, int, int, int]:
    """``(F, heads, 3d, N)`` -> ``F, heads, d, N``."""
    head_dims = [3 * dim for dim in HEAD_DIMS]
    if len(qkv) != 4 or qkv[2] not in head_dims or min(qkv) < 1:
        raise InputError(
            f"Queries, keys and values of shape {tuple(qkv)} cannot be attended: expected "
            f"(frames, heads, 3 * head_dim, tokens) with head_dim one of {HEAD_DIMS}."
        )
    return qkv[0], qkv[1], qkv[2] // 3, qkv[3]
