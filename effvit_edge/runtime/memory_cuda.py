"""A device's memory by NVIDIA's own bindings of the CUDA runtime, the package ``cuda-bindings``."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from effvit_edge.core.errors import EdgeError
from effvit_edge.runtime.device_memory import (
    Array,
    DeviceFacts,
    HostBuffer,
    NoGraph,
    check_index,
    cuda_error,
    no_device,
)
from effvit_edge.runtime.tuning import Waiting


class CudaBindingsMemory:
    """See `DeviceMemory`.

    Args:
        runtime: the module ``cuda.bindings.runtime``.
        index: the device, of those that CUDA shows to this process.
        waiting: how threads wait for it, of all sessions of this process on it.

    Raises:
        EnvironmentFault: CUDA finds no such device here.
    """

    library = "cuda-bindings"

    def __init__(self, runtime: Any, index: int = 0, waiting: Waiting = "auto") -> None:
        self._cuda = runtime
        self._index = index
        self._recording = False
        try:
            count = self._call("cudaGetDeviceCount")
        except (EdgeError, RuntimeError) as error:  # the bindings' own, where a library is absent
            raise no_device(error) from error
        check_index(index, count)
        if waiting != "auto":
            with self.current():
                self._call("cudaSetDeviceFlags", self._schedule(waiting))
        self.integrated = bool(
            self._attribute("cudaDevAttrIntegrated")
            and self._attribute("cudaDevAttrCanMapHostMemory")
        )

    def facts(self) -> DeviceFacts:
        """See `DeviceMemory`."""
        major = self._attribute("cudaDevAttrComputeCapabilityMajor")
        minor = self._attribute("cudaDevAttrComputeCapabilityMinor")
        return DeviceFacts(
            name=_text(self._call("cudaGetDeviceProperties", self._index).name),
            compute_capability=f"{major}.{minor}",
            multiprocessors=self._attribute("cudaDevAttrMultiProcessorCount"),
            cuda=_version(self._call("cudaRuntimeGetVersion")),
        )

    @contextmanager
    def current(self) -> Iterator[None]:
        """See `DeviceMemory`; each thread has a current device of its own, at first the first."""
        before = self._call("cudaGetDevice")
        if before == self._index:
            yield
            return
        self._call("cudaSetDevice", self._index)
        try:
            yield
        finally:
            self._call("cudaSetDevice", before)

    def create_stream(self) -> int:
        """See `DeviceMemory`; it does not wait for the work of others on the default stream."""
        with self.current():
            return int(self._call("cudaStreamCreateWithFlags", self._cuda.cudaStreamNonBlocking))

    def destroy_stream(self, stream: int) -> None:
        """See `DeviceMemory`."""
        self._call("cudaStreamDestroy", stream)

    def allocate(self, size: int) -> int:
        """See `DeviceMemory`."""
        with self.current():
            return int(self._call("cudaMalloc", size))

    def free(self, address: int) -> None:
        """See `DeviceMemory`."""
        with self.current():
            self._call("cudaFree", address)

    def allocate_host(self, size: int, *, mapped: bool) -> HostBuffer:
        """See `DeviceMemory`."""
        cuda = self._cuda
        flags = cuda.cudaHostAllocMapped if mapped else cuda.cudaHostAllocDefault
        with self.current():
            pointer = int(self._call("cudaHostAlloc", size, flags))
            address = int(self._call("cudaHostGetDevicePointer", pointer, 0)) if mapped else None
        array = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(pointer))
        return HostBuffer(array, address)

    def free_host(self, buffer: HostBuffer) -> None:
        """See `DeviceMemory`."""
        with self.current():
            self._call("cudaFreeHost", buffer.array.ctypes.data)

    def upload(self, address: int, array: Array, stream: int) -> None:
        """See `DeviceMemory`."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", address, array.ctypes.data, array.nbytes, kind, stream)

    def download(self, array: Array, address: int, stream: int) -> None:
        """See `DeviceMemory`."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", array.ctypes.data, address, array.nbytes, kind, stream)

    def synchronize(self, stream: int) -> None:
        """See `DeviceMemory`."""
        self._call("cudaStreamSynchronize", stream)

    def capture(self, stream: int, work: Callable[[], None]) -> int:
        """See `DeviceMemory`."""
        try:
            graph = self._record(stream, work)
            try:
                return int(self._call("cudaGraphInstantiate", graph, 0))
            finally:
                self._call("cudaGraphDestroy", graph)
        except EdgeError as error:
            self._cuda.cudaGetLastError()  # else the next call tells of this failure, too
            raise NoGraph(str(error).rstrip(".")) from error

    def launch(self, graph: int, stream: int) -> None:
        """See `DeviceMemory`."""
        self._call("cudaGraphLaunch", graph, stream)

    def destroy_graph(self, graph: int) -> None:
        """See `DeviceMemory`."""
        self._call("cudaGraphExecDestroy", graph)

    def create_event(self) -> int:
        """See `DeviceMemory`."""
        with self.current():
            return int(self._call("cudaEventCreate"))

    def destroy_event(self, event: int) -> None:
        """See `DeviceMemory`."""
        self._call("cudaEventDestroy", event)

    def record(self, event: int, stream: int) -> None:
        """See `DeviceMemory`."""
        # A captured mark is noted by each launch only if external; elsewhere that is refused.
        cuda = self._cuda
        flags = cuda.cudaEventRecordExternal if self._recording else cuda.cudaEventRecordDefault
        self._call("cudaEventRecordWithFlags", event, stream, flags)

    def elapsed(self, begin: int, end: int) -> float:
        """See `DeviceMemory`."""
        return float(self._call("cudaEventElapsedTime", begin, end))

    def close(self) -> None:
        """See `DeviceMemory`; the process's context stays, others may use it."""

    def _schedule(self, waiting: Waiting) -> int:
        cuda = self._cuda
        spin, block = cuda.cudaDeviceScheduleSpin, cuda.cudaDeviceScheduleBlockingSync
        return int(spin if waiting == "spin" else block)

    def _record(self, stream: int, work: Callable[[], None]) -> Any:
        # Of this thread only: what other threads do with CUDA meanwhile does not matter.
        mode = self._cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", stream, mode)
        self._recording = True
        try:
            work()
        except BaseException:
            # It must end in any case; where what was done is forbidden, CUDA gives no graph.
            status, graph = self._cuda.cudaStreamEndCapture(stream)
            if status == self._cuda.cudaError_t.cudaSuccess:
                self._call("cudaGraphDestroy", graph)
            raise
        finally:
            self._recording = False
        return self._call("cudaStreamEndCapture", stream)

    def _attribute(self, name: str) -> int:
        attribute = getattr(self._cuda.cudaDeviceAttr, name)
        return int(self._call("cudaDeviceGetAttribute", attribute, self._index))

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call the CUDA runtime, which answers ``(status,)`` or ``(status, value)``."""
        status, *values = getattr(self._cuda, name)(*arguments)
        if status != self._cuda.cudaError_t.cudaSuccess:
            text = _text(self._cuda.cudaGetErrorString(status)[1])
            raise cuda_error(name, text, "out of memory" in text)
        return values[0] if values else None


def _text(value: bytes | str) -> str:
    """CUDA's bindings give names as bytes, padded with zeros."""
    text = value.decode() if isinstance(value, bytes) else value
    return text.rstrip("\0")


def _version(number: int) -> str:
    """``12060`` is 12.6."""
    return f"{number // 1000}.{number % 1000 // 10}"
