"""Stand-ins for the two libraries for a device's memory, which do as their documents say."""

from __future__ import annotations

import ctypes
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np


class Host:
    """Memory for both stand-ins: addresses into one array of the host."""

    def __init__(self, size: int = 1 << 12) -> None:
        self.bytes = np.zeros(size, np.uint8)
        self.next = 256
        self.events: list[Any] = []

    def allocate(self, size: int) -> int:
        address, self.next = self.next, self.next + size
        self.events.append(("allocate", address))
        return address


class CudaRuntime:
    """``cuda.bindings.runtime``: every call answers a tuple that begins with a status."""

    cudaError_t = SimpleNamespace(cudaSuccess=0)
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaDeviceAttr = SimpleNamespace(
        cudaDevAttrComputeCapabilityMajor=75,
        cudaDevAttrComputeCapabilityMinor=76,
        cudaDevAttrMultiProcessorCount=16,
        cudaDevAttrIntegrated=18,
        cudaDevAttrCanMapHostMemory=19,
    )
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)
    cudaStreamNonBlocking = 1
    cudaHostAllocDefault, cudaHostAllocMapped = 0, 2
    cudaEventRecordDefault, cudaEventRecordExternal = 0, 1
    cudaDeviceScheduleSpin, cudaDeviceScheduleBlockingSync = 1, 4

    def __init__(self, devices: int = 1, integrated: int = 0) -> None:
        self.host = Host()
        self.devices = devices
        self.integrated = integrated
        self.fails: dict[str, str] = {}
        self.forbidden = ""
        self.device = 0
        self.recording: list[Any] | None = None
        self.graphs: dict[int, list[Any]] = {}
        self.locked: dict[int, Any] = {}
        self.marks: dict[int, float | None] = {}
        self.milliseconds = 0.0
        self.flags = 0

    def __getattribute__(self, name: str) -> Any:
        fails = object.__getattribute__(self, "__dict__").get("fails", {})
        return (lambda *_: (2,)) if name in fails else object.__getattribute__(self, name)

    def cudaGetErrorString(self, status: int) -> Any:
        text = self.forbidden or next(iter(self.fails.values()), "invalid argument")
        return 0, text.encode()

    def cudaGetLastError(self) -> Any:
        self.host.events.append("forget")
        return (0,)

    def cudaGetDeviceCount(self) -> Any:
        return 0, self.devices

    def cudaGetDevice(self) -> Any:
        return 0, self.device

    def cudaSetDevice(self, device: int) -> Any:
        self.device = device
        return (0,)

    def cudaSetDeviceFlags(self, flags: int) -> Any:
        self.flags = flags
        self.host.events.append(("flags", self.device))
        return (0,)

    def cudaEventCreate(self) -> Any:
        event = 90 + len(self.marks)
        self.marks[event] = None
        return 0, event

    def cudaEventDestroy(self, event: int) -> Any:
        del self.marks[event]
        return (0,)

    def cudaEventRecordWithFlags(self, event: int, stream: int, flags: int) -> Any:
        if (flags == self.cudaEventRecordExternal) != (self.recording is not None):
            return (2,)  # the flag is for captured marks, and these are of no use without it
        if self.recording is None:
            self._mark(event)
        else:
            self.recording.append(event)
        return (0,)

    def _mark(self, event: int) -> None:
        self.milliseconds += 1.5
        self.marks[event] = self.milliseconds

    def cudaEventElapsedTime(self, start: int, end: int) -> Any:
        first, last = self.marks[start], self.marks[end]
        return (2, None) if first is None or last is None else (0, last - first)

    def cudaDeviceGetAttribute(self, attribute: int, device: int) -> Any:
        return 0, {75: 8, 76: 7, 16: 8, 18: self.integrated, 19: 1}[attribute]

    def cudaGetDeviceProperties(self, device: int) -> Any:
        return 0, SimpleNamespace(name=b"Orin" + bytes(252))

    def cudaRuntimeGetVersion(self) -> Any:
        return 0, 12060

    def cudaStreamCreateWithFlags(self, flags: int) -> Any:
        assert flags == self.cudaStreamNonBlocking
        return 0, 7

    def cudaStreamDestroy(self, stream: int) -> Any:
        self.host.events.append(("destroy", stream))
        return (0,)

    def cudaMalloc(self, size: int) -> Any:
        return 0, self.host.allocate(size)

    def cudaFree(self, address: int) -> Any:
        self.host.events.append(("free", address))
        return (0,)

    def cudaHostAlloc(self, size: int, flags: int) -> Any:
        memory = ctypes.create_string_buffer(size)
        self.locked[ctypes.addressof(memory)] = (memory, flags)
        return 0, ctypes.addressof(memory)

    def cudaHostGetDevicePointer(self, pointer: int, flags: int) -> Any:
        assert self.locked[pointer][1] == self.cudaHostAllocMapped
        return 0, pointer + (1 << 48)

    def cudaFreeHost(self, pointer: int) -> Any:
        del self.locked[pointer]
        return (0,)

    def cudaMemcpyAsync(self, *arguments: int) -> Any:
        assert arguments[-1] == 7
        if self.recording is None:
            self._copy(*arguments)
        else:
            self.recording.append(arguments)
        return (0,)

    def _copy(self, target: int, source: int, size: int, kind: int, stream: int) -> None:
        base = self.host.bytes.ctypes.data
        if kind == 1:
            ctypes.memmove(base + target, source, size)
        else:
            ctypes.memmove(target, base + source, size)

    def cudaStreamSynchronize(self, stream: int) -> Any:
        self.host.events.append(("synchronize", stream))
        return (0,)

    def cudaStreamBeginCapture(self, stream: int, mode: int) -> Any:
        assert mode == 1
        self.recording = []
        return (0,)

    def cudaStreamEndCapture(self, stream: int) -> Any:
        recorded, self.recording = self.recording, None
        assert recorded is not None
        if self.forbidden:
            return 2, None
        self.graphs[50] = recorded
        return 0, 50

    def cudaGraphInstantiate(self, graph: int, flags: int) -> Any:
        self.graphs[60] = self.graphs[graph]
        return 0, 60

    def cudaGraphDestroy(self, graph: int) -> Any:
        del self.graphs[graph]
        return (0,)

    def cudaGraphLaunch(self, graph: int, stream: int) -> Any:
        for work in self.graphs[graph]:
            if isinstance(work, int):
                self._mark(work)
            else:
                self._copy(*work)
        return (0,)

    def cudaGraphExecDestroy(self, graph: int) -> Any:
        del self.graphs[graph]
        return (0,)


class PyCuda:
    """``pycuda.driver``: objects for addresses and streams, errors as exceptions."""

    class Error(Exception):
        pass

    class MemoryError(Error):
        pass

    device_attribute = SimpleNamespace(
        MULTIPROCESSOR_COUNT=16, INTEGRATED=18, CAN_MAP_HOST_MEMORY=19
    )
    host_alloc_flags = SimpleNamespace(DEVICEMAP=2)

    def __init__(self, devices: int = 1, integrated: int = 0) -> None:
        self.host = host = Host()
        self.fails: dict[str, Exception] = {}
        self.contexts = threading.local()
        self.locked = 0
        stand_in = self

        class Stream:
            handle = 7

            def __init__(self, flags: int) -> None:
                assert flags == 1

            def synchronize(self) -> None:
                host.events.append(("synchronize", 7))

            def __del__(self) -> None:
                host.events.append(("destroy", 7))

        class Event:
            """Takes 1.5 ms each time that it is reached."""

            clock = 0.0

            def __init__(self) -> None:
                stand_in._in_context()

            def record(self, stream: Any) -> None:
                stand_in._in_context()
                Event.clock = self.at = Event.clock + 1.5

            def time_since(self, other: Any) -> float:
                return float(self.at - other.at)

        class Device:
            count = staticmethod(lambda: devices)

            def __new__(cls, number: int) -> Any:
                return SimpleNamespace(
                    name=lambda: "Orin",
                    compute_capability=lambda: (8, 7),
                    get_attribute=lambda attribute: {16: 8, 18: integrated, 19: 1}[attribute],
                    retain_primary_context=lambda: SimpleNamespace(
                        push=self._push,
                        pop=self._pop,
                        detach=lambda: host.events.append("detach"),
                    ),
                )

        self.Stream, self.Device, self.devices = Stream, Device, devices
        self.Event = Event

    def _push(self) -> None:
        self.contexts.depth = getattr(self.contexts, "depth", 0) + 1

    def _pop(self) -> None:
        self.contexts.depth -= 1
        assert self.contexts.depth >= 0

    def _in_context(self) -> None:
        if not getattr(self.contexts, "depth", 0):
            raise self.Error("invalid device context")

    def init(self) -> None:
        if not self.devices:
            raise self.Error("cuInit failed: no CUDA-capable device is detected")

    def get_version(self) -> tuple[int, int]:
        return 12, 6

    def mem_alloc(self, size: int) -> Any:
        self._in_context()
        if "mem_alloc" in self.fails:
            raise self.fails["mem_alloc"]
        host, address = self.host, self.host.allocate(size)

        class Allocation:
            def __int__(self) -> int:
                return address

            def free(self) -> None:
                host.events.append(("free", address))

        return Allocation()

    def pagelocked_empty(self, shape: int, dtype: Any, order: str, mem_flags: int) -> Any:
        self._in_context()
        self.locked += 1
        stand_in = self

        class Allocation:
            """What an array's memory belongs to, as PyCUDA makes it."""

            def __init__(self) -> None:
                self.memory = np.zeros(shape, dtype)
                self.__array_interface__ = self.memory.__array_interface__

            def get_device_pointer(self) -> int:
                assert mem_flags == 2
                return int(self.memory.ctypes.data) + (1 << 48)

            def free(self) -> None:
                stand_in._in_context()
                stand_in.locked -= 1

        return np.asarray(Allocation())

    def memcpy_htod_async(self, target: int, source: np.ndarray, stream: Any) -> None:
        self._in_context()
        self.host.bytes[target : target + source.nbytes] = np.frombuffer(source, np.uint8)

    def memcpy_dtoh_async(self, target: np.ndarray, source: int, stream: Any) -> None:
        self._in_context()
        raw = self.host.bytes[source : source + target.nbytes].tobytes()
        target[...] = np.frombuffer(raw, target.dtype).reshape(target.shape)
