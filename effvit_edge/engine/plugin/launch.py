"""What a kernel is launched with, where no compiled code does it: ``launch.h`` and ``api.cu``."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from effvit_edge.core.attention_op import key_factor
from effvit_edge.engine.plugin.shape import AttentionShape

_ANSWER_THREADS = 128
_SUMMARY_THREADS = {16: 128, 32: 256}
_ENOUGH_BLOCKS = 256  # about as many as keep the largest of the devices busy
_NAMES = {"float32": "f32", "float16": "f16"}


class Launch(ctypes.Structure):
    """``effvit::Launch``, field by field."""

    _fields_ = (
        ("qkv", ctypes.c_void_p),
        ("out", ctypes.c_void_p),
        ("summaries", ctypes.c_void_p),
        ("ring", ctypes.c_void_p),
        ("next_ring", ctypes.c_void_p),
        ("frames_seen", ctypes.c_void_p),
        ("batch", ctypes.c_int),
        ("frames", ctypes.c_int),
        ("heads", ctypes.c_int),
        ("tokens", ctypes.c_int),
        ("window", ctypes.c_int),
        ("sum_window", ctypes.c_int),
        ("causal", ctypes.c_int),
        ("slices", ctypes.c_int),
        ("key_factor", ctypes.c_float),
        ("eps", ctypes.c_float),
    )


@dataclass(frozen=True)
class Grid:
    """One kernel and how it is spread: ``blocks`` by ``slices`` blocks of ``threads``."""

    kernel: str
    blocks: int
    slices: int
    threads: int


def workspace_bytes(shape: AttentionShape) -> int:
    """Summaries of all heads and frames, each with the number of frames it holds."""
    return 4 * shape.rows * (shape.matrix + 1)


def clip_grids(shape: AttentionShape) -> tuple[Grid, Grid]:
    """Summary and answer of a clip."""
    name = f"effvit_summary_{_NAMES[shape.storage]}_d{shape.head_dim}"
    return Grid(name, shape.rows, 1, _SUMMARY_THREADS[shape.head_dim]), _answer(shape)


def step_grids(shape: AttentionShape) -> tuple[Grid, Grid]:
    """Summary into the ring, and answer, of a step."""
    types = f"{_NAMES[shape.storage]}_{_NAMES[shape.state_storage]}"
    name = f"effvit_push_{types}_d{shape.head_dim}"
    return Grid(name, shape.rows, 1, _SUMMARY_THREADS[shape.head_dim]), _answer(shape)


def launch_arguments(shape: AttentionShape, *, step: bool, **addresses: int) -> Launch:
    """The kernels' argument; ``addresses`` are those of its pointers, by name."""
    return Launch(
        batch=shape.batch,
        frames=shape.frames,
        heads=shape.heads,
        tokens=shape.tokens,
        window=shape.window,
        sum_window=1 if step else shape.window,  # a step's workspace holds the window's sum
        causal=int(shape.causal),
        slices=_slices(shape),
        key_factor=key_factor(shape.window * shape.tokens),
        eps=shape.eps,
        **addresses,
    )


def _answer(shape: AttentionShape) -> Grid:
    name = f"effvit_answer_{_NAMES[shape.storage]}_d{shape.head_dim}"
    return Grid(name, shape.rows, _slices(shape), _ANSWER_THREADS)


def _slices(shape: AttentionShape) -> int:
    """Blocks that share the queries of one head: more where there are few heads."""
    return min(-(-shape.tokens // _ANSWER_THREADS), -(-_ENOUGH_BLOCKS // shape.rows))
