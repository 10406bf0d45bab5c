"""A device's memory by PyCUDA, which some devices have and NVIDIA's own bindings not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.core.optional import install_line
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

_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING, which PyCUDA does not name


class PyCudaMemory:
    """See `DeviceMemory`.

    Args:
        driver: the module ``pycuda.driver``.
        index: the device, of those that CUDA shows to this process.
        waiting: only as the driver chooses.

    Raises:
        EnvironmentFault: CUDA finds no such device here, or another way of waiting is asked for.
    """

    library = "PyCUDA"

    def __init__(self, driver: Any, index: int = 0, waiting: Waiting = "auto") -> None:
        if waiting != "auto":
            raise EnvironmentFault(
                f"PyCUDA cannot be told to {waiting} while it waits for the device. Install "
                f"NVIDIA's own bindings, in the checkout: {install_line('tensorrt')}."
            )
        self._cuda = driver
        try:
            driver.init()
            check_index(index, driver.Device.count())
            self._device = driver.Device(index)
            # TensorRT works in the process's primary context; so must this.
            self._context = self._device.retain_primary_context()
        except driver.Error as error:
            raise no_device(error) from error
        self._inside = threading.local()
        attributes = driver.device_attribute
        self.integrated = bool(
            self._device.get_attribute(attributes.INTEGRATED)
            and self._device.get_attribute(attributes.CAN_MAP_HOST_MEMORY)
        )
        self._allocations: dict[int, Any] = {}
        self._streams: dict[int, Any] = {}
        self._events: dict[int, Any] = {}

    def facts(self) -> DeviceFacts:
        """See `DeviceMemory`."""
        attributes = self._cuda.device_attribute
        return DeviceFacts(
            name=str(self._device.name()),
            compute_capability="{}.{}".format(*self._device.compute_capability()),
            multiprocessors=int(self._device.get_attribute(attributes.MULTIPROCESSOR_COUNT)),
            cuda="{}.{}".format(*self._cuda.get_version()),
        )

    @contextmanager
    def current(self) -> Iterator[None]:
        """See `DeviceMemory`.

        The context is put on the thread's stack of contexts only for so long: PyCUDA ends the
        process where a thread ends with one on it.
        """
        if getattr(self._inside, "entered", False):
            yield
            return
        self._context.push()
        self._inside.entered = True
        try:
            yield
        finally:
            self._inside.entered = False
            self._context.pop()

    def create_stream(self) -> int:
        """See `DeviceMemory`; it does not wait for the work of others on the default stream."""
        stream = self._call("cuStreamCreate", self._cuda.Stream, _NON_BLOCKING)
        self._streams[stream.handle] = stream
        return int(stream.handle)

    def destroy_stream(self, stream: int) -> None:
        """See `DeviceMemory`; PyCUDA gives it back when nothing names it."""
        with self.current():
            del self._streams[stream]

    def allocate(self, size: int) -> int:
        """See `DeviceMemory`."""
        allocation = self._call("cuMemAlloc", self._cuda.mem_alloc, size)
        self._allocations[int(allocation)] = allocation
        return int(allocation)

    def free(self, address: int) -> None:
        """See `DeviceMemory`."""
        self._call("cuMemFree", self._allocations.pop(address).free)

    def allocate_host(self, size: int, *, mapped: bool) -> HostBuffer:
        """See `DeviceMemory`."""
        flags = self._cuda.host_alloc_flags.DEVICEMAP if mapped else 0
        empty = self._cuda.pagelocked_empty
        array = self._call("cuMemHostAlloc", empty, size, np.uint8, "C", flags)
        if not mapped:
            return HostBuffer(array, None)
        pointer = self._call("cuMemHostGetDevicePointer", array.base.get_device_pointer)
        return HostBuffer(array, int(pointer))

    def free_host(self, buffer: HostBuffer) -> None:
        """See `DeviceMemory`."""
        allocation: Any = buffer.array.base
        self._call("cuMemFreeHost", allocation.free)

    def upload(self, address: int, array: Array, stream: int) -> None:
        """See `DeviceMemory`."""
        copy = self._cuda.memcpy_htod_async
        self._call("cuMemcpyHtoDAsync", copy, address, array, self._streams[stream])

    def download(self, array: Array, address: int, stream: int) -> None:
        """See `DeviceMemory`."""
        copy = self._cuda.memcpy_dtoh_async
        self._call("cuMemcpyDtoHAsync", copy, array, address, self._streams[stream])

    def synchronize(self, stream: int) -> None:
        """See `DeviceMemory`."""
        self._call("cuStreamSynchronize", self._streams[stream].synchronize)

    def capture(self, stream: int, work: Callable[[], None]) -> int:
        """See `DeviceMemory`."""
        raise NoGraph("PyCUDA has no graphs")

    def launch(self, graph: int, stream: int) -> None:
        """See `DeviceMemory`; there is never one."""
        raise NoGraph("PyCUDA has no graphs")

    def destroy_graph(self, graph: int) -> None:
        """See `DeviceMemory`; there is never one."""
        raise NoGraph("PyCUDA has no graphs")

    def create_event(self) -> int:
        """See `DeviceMemory`."""
        event = self._call("cuEventCreate", self._cuda.Event)
        self._events[id(event)] = event
        return id(event)

    def destroy_event(self, event: int) -> None:
        """See `DeviceMemory`; PyCUDA gives it back when nothing names it."""
        with self.current():
            del self._events[event]

    def record(self, event: int, stream: int) -> None:
        """See `DeviceMemory`."""
        self._call("cuEventRecord", self._events[event].record, self._streams[stream])

    def elapsed(self, begin: int, end: int) -> float:
        """See `DeviceMemory`."""
        since = self._events[end].time_since
        return float(self._call("cuEventElapsedTime", since, self._events[begin]))

    def close(self) -> None:
        """See `DeviceMemory`."""
        if self._context is not None:
            self._context.detach()
            self._context = None

    def _call(self, name: str, function: Any, *arguments: Any) -> Any:
        try:
            with self.current():
                return function(*arguments)
        except self._cuda.Error as error:
            full = isinstance(error, self._cuda.MemoryError)
            raise cuda_error(name, str(error), full) from error
