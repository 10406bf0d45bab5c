"""Memory and streams of one CUDA device, behind one narrow protocol with two implementations.

An address is an integer, as TensorRT takes it. Copies to and from the device are put on a stream
and finished only by ``synchronize``; until then the caller keeps the host's arrays alive.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt

from effvit_edge.core.errors import EdgeError, EnvironmentFault
from effvit_edge.core.optional import install_line

Array = npt.NDArray[Any]
_CUDA_BINDINGS, _PYCUDA = "cuda.bindings.runtime", "pycuda.driver"


@dataclass(frozen=True)
class DeviceFacts:
    """What an engine depends on of a device."""

    name: str
    compute_capability: str
    """``8.7``, for example."""
    multiprocessors: int
    cuda: str
    """Version of the CUDA runtime that is used, ``12.6`` for example."""

    def __str__(self) -> str:
        """For messages."""
        return f"{self.name} (compute {self.compute_capability}, {self.multiprocessors} SMs)"


class DeviceMemory(Protocol):
    """The first device that CUDA shows to this process (``CUDA_VISIBLE_DEVICES`` chooses)."""

    library: str
    """What is behind it, for reports."""

    def facts(self) -> DeviceFacts:
        """What the device is."""

    def create_stream(self) -> int:
        """A new stream's handle."""

    def destroy_stream(self, stream: int) -> None:
        """Give a stream back."""

    def allocate(self, size: int) -> int:
        """The address of ``size`` bytes.

        Raises:
            EdgeError: the device has no such room.
        """

    def free(self, address: int) -> None:
        """Give back what ``allocate`` gave."""

    def upload(self, address: int, array: Array, stream: int) -> None:
        """Copy a contiguous array to the device."""

    def download(self, array: Array, address: int, stream: int) -> None:
        """Fill a contiguous array from the device."""

    def synchronize(self, stream: int) -> None:
        """Wait until all that was put on the stream is done.

        Raises:
            EdgeError: some of it failed.
        """

    def close(self) -> None:
        """Let go of the device. Closing twice is allowed."""


class CudaBindingsMemory:
    """By NVIDIA's own bindings of the CUDA runtime, the package ``cuda-bindings``.

    Args:
        runtime: the module ``cuda.bindings.runtime``.

    Raises:
        EnvironmentFault: CUDA finds no device here.
    """

    def __init__(self, runtime: Any) -> None:
        self._cuda = runtime
        self.library = "cuda-bindings"
        try:
            count = self._call("cudaGetDeviceCount")
        except (EdgeError, RuntimeError) as error:  # the bindings' own, where a library is absent
            raise _no_device(error) from error
        if not count:
            raise _no_device("it counts none")

    def facts(self) -> DeviceFacts:
        """See `DeviceMemory`."""
        attributes = self._cuda.cudaDeviceAttr
        device = self._call("cudaGetDevice")

        def attribute(name: str) -> int:
            return int(self._call("cudaDeviceGetAttribute", getattr(attributes, name), device))

        name = self._call("cudaGetDeviceProperties", device).name
        major = attribute("cudaDevAttrComputeCapabilityMajor")
        minor = attribute("cudaDevAttrComputeCapabilityMinor")
        return DeviceFacts(
            name=_text(name),
            compute_capability=f"{major}.{minor}",
            multiprocessors=attribute("cudaDevAttrMultiProcessorCount"),
            cuda=_version(self._call("cudaRuntimeGetVersion")),
        )

    def create_stream(self) -> int:
        """See `DeviceMemory`."""
        return int(self._call("cudaStreamCreate"))

    def destroy_stream(self, stream: int) -> None:
        """See `DeviceMemory`."""
        self._call("cudaStreamDestroy", stream)

    def allocate(self, size: int) -> int:
        """See `DeviceMemory`."""
        return int(self._call("cudaMalloc", size))

    def free(self, address: int) -> None:
        """See `DeviceMemory`."""
        self._call("cudaFree", address)

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

    def close(self) -> None:
        """See `DeviceMemory`; the process's context stays, others may use it."""

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call the CUDA runtime, which answers ``(status,)`` or ``(status, value)``."""
        status, *values = getattr(self._cuda, name)(*arguments)
        if status != self._cuda.cudaError_t.cudaSuccess:
            text = _text(self._cuda.cudaGetErrorString(status)[1])
            raise _cuda_error(name, text, "out of memory" in text)
        return values[0] if values else None


class PyCudaMemory:
    """By PyCUDA, which some devices have and the bindings not.

    Args:
        driver: the module ``pycuda.driver``.

    Raises:
        EnvironmentFault: CUDA finds no device here.
    """

    def __init__(self, driver: Any) -> None:
        self._cuda = driver
        self.library = "PyCUDA"
        try:
            driver.init()
            self._device = driver.Device(0)
            # TensorRT works in the process's primary context; so must this.
            self._context = self._device.retain_primary_context()
            self._context.push()
        except driver.Error as error:
            raise _no_device(error) from error
        self._allocations: dict[int, Any] = {}
        self._streams: dict[int, Any] = {}

    def facts(self) -> DeviceFacts:
        """See `DeviceMemory`."""
        attributes = self._cuda.device_attribute
        return DeviceFacts(
            name=str(self._device.name()),
            compute_capability="{}.{}".format(*self._device.compute_capability()),
            multiprocessors=int(self._device.get_attribute(attributes.MULTIPROCESSOR_COUNT)),
            cuda="{}.{}".format(*self._cuda.get_version()),
        )

    def create_stream(self) -> int:
        """See `DeviceMemory`."""
        stream = self._call("cuStreamCreate", self._cuda.Stream)
        self._streams[stream.handle] = stream
        return int(stream.handle)

    def destroy_stream(self, stream: int) -> None:
        """See `DeviceMemory`; PyCUDA gives it back when nothing names it."""
        del self._streams[stream]

    def allocate(self, size: int) -> int:
        """See `DeviceMemory`."""
        allocation = self._call("cuMemAlloc", self._cuda.mem_alloc, size)
        self._allocations[int(allocation)] = allocation
        return int(allocation)

    def free(self, address: int) -> None:
        """See `DeviceMemory`."""
        self._call("cuMemFree", self._allocations.pop(address).free)

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

    def close(self) -> None:
        """See `DeviceMemory`."""
        if self._context is not None:
            self._context.pop()
            self._context.detach()
            self._context = None

    def _call(self, name: str, function: Any, *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except self._cuda.Error as error:
            full = isinstance(error, self._cuda.MemoryError)
            raise _cuda_error(name, str(error), full) from error


def open_device_memory() -> DeviceMemory:
    """The device, by the library that is installed: cuda-bindings, or else PyCUDA.

    Raises:
        EnvironmentFault: neither is, or one is and finds no device.
    """
    reasons = []
    for name, implementation in ((_CUDA_BINDINGS, CudaBindingsMemory), (_PYCUDA, PyCudaMemory)):
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            reasons.append(f"{name}: {error}")
            continue
        memory: DeviceMemory = implementation(module)
        return memory
    raise EnvironmentFault(
        "TensorRT needs a library for the device's memory, and neither cuda-bindings nor PyCUDA "
        f"loads ({'; '.join(reasons)}). Install, in the checkout: {install_line('tensorrt')}."
    )


def _no_device(reason: object) -> EnvironmentFault:
    return EnvironmentFault(
        f"CUDA finds no device on this machine: {str(reason).rstrip('.')}. Run where there is an "
        "NVIDIA GPU and its driver, or use --provider cpu with an ONNX file."
    )


def _cuda_error(call: str, text: str, full: bool) -> EdgeError:
    if full:
        return EdgeError(
            f"The device is out of memory ({call}). Close what else uses it; on a Jetson, where "
            "it is shared, also stop the desktop."
        )
    return EdgeError(f"CUDA failed in {call}: {text}.")


def _text(value: bytes | str) -> str:
    """CUDA's bindings give names as bytes, padded with zeros."""
    text = value.decode() if isinstance(value, bytes) else value
    return text.rstrip("\0")


def _version(number: int) -> str:
    """``12060`` is 12.6."""
    return f"{number // 1000}.{number % 1000 // 10}"
