"""The kernels as NVRTC's cubins, launched through the CUDA driver that every device has."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

from effvit_edge.core.errors import EdgeError, EnvironmentFault
from effvit_edge.engine.plugin.launch import (
    Grid,
    Launch,
    clip_grids,
    launch_arguments,
    step_grids,
    workspace_bytes,
)
from effvit_edge.engine.plugin.shape import AttentionShape

_DRIVER = "libcuda.so.1"
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…


class CubinKernels:
    """Kernels of one architecture each, in a folder; see `Kernels` in `library`.

    Shapes must be those of `clip_shape` and `step_shape`. The module is loaded at the first call,
    into the context that is then current, which is TensorRT's while an engine runs.

    Args:
        folder: of ``sm_87.cubin`` and so on.
        driver: the driver's library.

    Raises:
        EnvironmentFault: there is no driver.
    """

    def __init__(self, folder: Path, driver: str = _DRIVER) -> None:
        self.path = folder
        try:
            self._driver = ctypes.CDLL(driver)
        except OSError as error:
            raise EnvironmentFault(f"The CUDA driver does not load here: {error}.") from error
        self._functions: dict[str, ctypes.c_void_p] = {}
        self._module: ctypes.c_void_p | None = None

    def workspace_bytes(self, shape: AttentionShape) -> int:
        """See `Kernels`."""
        return workspace_bytes(shape)

    def clip(
        self, shape: AttentionShape, *, qkv: int, out: int, workspace: int, stream: int
    ) -> None:
        """See `Kernels`.

        Raises:
            EdgeError: the device refuses.
            EnvironmentFault: there is no cubin for it.
        """
        arguments = launch_arguments(shape, step=False, qkv=qkv, out=out, summaries=workspace)
        for grid in clip_grids(shape):
            self._launch(grid, arguments, stream)

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
            EdgeError: the device refuses.
            EnvironmentFault: there is no cubin for it.
        """
        arguments = launch_arguments(
            shape,
            step=True,
            qkv=qkv,
            out=out,
            summaries=workspace,
            ring=ring,
            next_ring=next_ring,
            frames_seen=frames_seen,
        )
        for grid in step_grids(shape):
            self._launch(grid, arguments, stream)

    def _launch(self, grid: Grid, arguments: Launch, stream: int) -> None:
        function = self._function(grid.kernel)
        parameters = (ctypes.c_void_p * 1)(ctypes.addressof(arguments))
        sizes = (grid.blocks, grid.slices, 1, grid.threads, 1, 1, 0)
        counts = [ctypes.c_uint(size) for size in sizes]
        self._call("cuLaunchKernel", function, *counts, ctypes.c_void_p(stream), parameters, None)

    def _function(self, kernel: str) -> ctypes.c_void_p:
        if kernel not in self._functions:
            if self._module is None:
                self._module = self._load()
            function = ctypes.c_void_p()
            self._call("cuModuleGetFunction", ctypes.byref(function), self._module, kernel.encode())
            self._functions[kernel] = function
        return self._functions[kernel]

    def _load(self) -> ctypes.c_void_p:
        device = ctypes.c_int()
        self._call("cuCtxGetDevice", ctypes.byref(device))
        name = f"sm_{self._attribute(_MAJOR, device)}{self._attribute(_MINOR, device)}"
        path = self.path / f"{name}.cubin"
        if not path.is_file():
            raise EnvironmentFault(
                f"There are no attention kernels for {name} in {self.path}. Build them with make "
                f"plugin on this device."
            )
        module = ctypes.c_void_p()
        self._call("cuModuleLoadData", ctypes.byref(module), path.read_bytes())
        return module

    def _attribute(self, attribute: int, device: ctypes.c_int) -> int:
        value = ctypes.c_int()
        self._call("cuDeviceGetAttribute", ctypes.byref(value), attribute, device)
        return value.value

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._driver, name)(*arguments)
        if status:
            raise EdgeError(f"The CUDA driver's {name} failed with error {status}.")
