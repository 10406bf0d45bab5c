"""The kernels as a shared library, called through the C interface of ``kernels/api.h``."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any, Protocol

from effvit_edge.core.errors import EdgeError, EnvironmentFault
from effvit_edge.engine.plugin.shape import AttentionShape

ABI = 1
_STORAGE = {"float32": 0, "float16": 1}
_CUDA_ERRORS = 1000  # a status from here on is a cudaError_t above it
_REFUSALS = {
    1: "a size below one or too large",
    2: "a head dimension other than 16 and 32",
    3: "a combination of types there is no kernel for",
    4: "a window that does not fit the form",
    5: "an address that is null",
}


class Kernels(Protocol):
    """The attention on one device. Addresses are of its memory, row-major; calls do not wait."""

    def workspace_bytes(self, shape: AttentionShape) -> int:
        """How much scratch memory a call of this shape needs."""

    def clip(
        self, shape: AttentionShape, *, qkv: int, out: int, workspace: int, stream: int
    ) -> None:
        """``qkv (F, heads, 3d, N)`` -> ``out (F, heads, d, N)``."""

    def step(
        self,
        shape: AttentionShape,
        *,
        qkv: int,
        ring: int,
        frames_seen: int,
        out: int,
        next_ring: int,
        workspace: int,
        stream: int,
    ) -> None:
        """One frame of every stream; ``next_ring`` may be ``ring``."""


class _Shape(ctypes.Structure):
    """``EffvitShape``."""

    _fields_ = (
        ("batch", ctypes.c_int),
        ("frames", ctypes.c_int),
        ("heads", ctypes.c_int),
        ("head_dim", ctypes.c_int),
        ("tokens", ctypes.c_int),
        ("window", ctypes.c_int),
        ("causal", ctypes.c_int),
        ("type", ctypes.c_int),
        ("state_type", ctypes.c_int),
        ("eps", ctypes.c_float),
    )


class SharedLibrary:
    """Kernels compiled by nvcc for devices, or by a C++ compiler for this host.

    Args:
        path: of the library.

    Raises:
        EnvironmentFault: it does not load, or has another interface.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._library = ctypes.CDLL(str(path))
            self._declare()
        except (OSError, AttributeError) as error:
            raise EnvironmentFault(
                f"{path} is no library of attention kernels that loads here: {error}. "
                f"Build it anew with make plugin."
            ) from error
        if self._library.effvit_abi() != ABI:
            raise EnvironmentFault(
                f"{path} has interface {self._library.effvit_abi()} and this version calls {ABI}. "
                f"Build it anew with make plugin."
            )

    def _declare(self) -> None:
        address, shape = ctypes.c_void_p, ctypes.POINTER(_Shape)
        self._library.effvit_workspace_bytes.argtypes = (shape,)
        self._library.effvit_workspace_bytes.restype = ctypes.c_size_t
        self._library.effvit_clip.argtypes = (shape, *[address] * 4)
        self._library.effvit_step.argtypes = (shape, *[address] * 7)

    def workspace_bytes(self, shape: AttentionShape) -> int:
        """See `Kernels`; 0 where the shape is refused."""
        return int(self._library.effvit_workspace_bytes(_to_c(shape)))

    def clip(
        self, shape: AttentionShape, *, qkv: int, out: int, workspace: int, stream: int
    ) -> None:
        """See `Kernels`.

        Raises:
            EdgeError: the call was refused, or the device could not start it.
        """
        self._run(self._library.effvit_clip, shape, qkv, out, workspace, stream)

    def step(
        self,
        shape: AttentionShape,
        *,
        qkv: int,
        ring: int,
        frames_seen: int,
        out: int,
        next_ring: int,
        workspace: int,
        stream: int,
    ) -> None:
        """See `Kernels`.

        Raises:
            EdgeError: the call was refused, or the device could not start it.
        """
        call = self._library.effvit_step
        self._run(call, shape, qkv, ring, frames_seen, out, next_ring, workspace, stream)

    def _run(self, call: Any, shape: AttentionShape, *addresses: int) -> None:
        status = call(_to_c(shape), *addresses)
        if status >= _CUDA_ERRORS:
            raise EdgeError(
                f"CUDA could not start the attention kernels: error {status - _CUDA_ERRORS}."
            )
        if status:
            reason = _REFUSALS.get(status, f"status {status}")
            raise EdgeError(f"The attention kernels refuse {reason}: {shape}.")


def _to_c(shape: AttentionShape) -> Any:
    return ctypes.byref(
        _Shape(
            shape.batch,
            shape.frames,
            shape.heads,
            shape.head_dim,
            shape.tokens,
            shape.window,
            int(shape.causal),
            _STORAGE[shape.storage],
            _STORAGE[shape.state_storage],
            shape.eps,
        )
    )
