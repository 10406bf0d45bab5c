"""TensorRT and a device that are not there: what sessions ask of them is recorded and obeyed.

Work that is put on a stream is done when the stream is waited for, no sooner, as late as a real
device may do it. What a real device would answer with garbage or a crash is refused.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from effvit_edge.core.errors import EdgeError
from effvit_edge.runtime.device_memory import DeviceFacts, HostBuffer, NoGraph
from effvit_edge.runtime.trt_library import Flavour, LoadedPlan, PlanTensor

Array = npt.NDArray[Any]
Compute = Callable[[Mapping[str, Array]], Mapping[str, Array]]
"""From an engine's inputs to its outputs, by name."""

ORIN_NANO = DeviceFacts("Orin", "8.7", 8, "12.6")
_FIRST_ADDRESS, _ALIGNMENT = 0x1000, 256
_GARBAGE = 0xA5  # what memory holds before anything was written


class FakeMemory:
    """See `DeviceMemory`.

    Args:
        facts: of the pretended device.
        room: bytes it has; endless by default.
        integrated: whether it works in the host's memory.
        no_graph: why nothing can be captured; empty where it can.

    Attributes:
        events: what was done, in order: ``allocate``, ``free``, ``allocate_host``, ``free_host``,
            ``create_stream``, ``destroy_stream``, ``upload``, ``download``, ``synchronize``,
            ``capture``, ``launch``, ``destroy_graph``, ``close``, and of the library ``load``,
            ``bind``, ``enqueue`` and ``unload``. What a launch does is not told again, nor marks:
            to the device's clock, each piece of work takes 1 ms.
    """

    library = "fake memory"

    def __init__(
        self,
        facts: DeviceFacts = ORIN_NANO,
        room: int | None = None,
        *,
        integrated: bool = False,
        no_graph: str = "",
    ) -> None:
        self.integrated = integrated
        self.events: list[str] = []
        self._facts, self._room, self._no_graph = facts, room, no_graph
        self._next = _FIRST_ADDRESS
        self._buffers: dict[int, Array] = {}
        self._hosts: dict[int, int | None] = {}
        self._queues: dict[int, list[Callable[[], None]]] = {}
        self._graphs: dict[int, list[Callable[[], None]]] = {}
        self._recording: list[Callable[[], None]] | None = None
        self._current_in: int | None = None
        self._milliseconds = 0.0
        self._marks: dict[int, float | None] = {}

    @property
    def held(self) -> int:
        """How many buffers, streams, graphs and marks were not given back."""
        taken = (self._buffers, self._hosts, self._queues, self._graphs, self._marks)
        return sum(len(kind) for kind in taken)

    @property
    def capturing(self) -> bool:
        """Whether work is recorded instead of being put on its stream."""
        return self._recording is not None

    def facts(self) -> DeviceFacts:
        """See `DeviceMemory`."""
        return self._facts

    @contextmanager
    def current(self) -> Iterator[None]:
        """See `DeviceMemory`."""
        before, self._current_in = self._current_in, threading.get_ident()
        try:
            yield
        finally:
            self._current_in = before

    def require_current(self) -> None:
        """Refuse what is done by TensorRT where this is not the thread's device."""
        if self._current_in != threading.get_ident():
            raise EdgeError("The fake device is not the current one of this thread.")

    def create_stream(self) -> int:
        """See `DeviceMemory`."""
        self.events.append("create_stream")
        stream = len(self._queues) + 1
        self._queues[stream] = []
        return stream

    def destroy_stream(self, stream: int) -> None:
        """See `DeviceMemory`."""
        self.events.append("destroy_stream")
        del self._queues[stream]

    def allocate(self, size: int) -> int:
        """See `DeviceMemory`."""
        self._refuse_while_capturing("allocate")
        if self._room is not None and sum(b.nbytes for b in self._buffers.values()) > self._room:
            raise EdgeError("The fake device is out of memory.")
        return self._keep(np.full(size, _GARBAGE, np.uint8))

    def free(self, address: int) -> None:
        """See `DeviceMemory`."""
        self.events.append("free")
        del self._buffers[address]

    def allocate_host(self, size: int, *, mapped: bool) -> HostBuffer:
        """See `DeviceMemory`."""
        self._refuse_while_capturing("allocate_host")
        array = np.full(size, _GARBAGE, np.uint8)
        address = self._keep(array) if mapped else None
        self._hosts[array.ctypes.data] = address
        return HostBuffer(array, address)

    def free_host(self, buffer: HostBuffer) -> None:
        """See `DeviceMemory`."""
        self.events.append("free_host")
        address = self._hosts.pop(buffer.array.ctypes.data)
        if address is not None:
            del self._buffers[address]

    def upload(self, address: int, array: Array, stream: int) -> None:
        """See `DeviceMemory`."""
        self.events.append("upload")
        self.put(stream, lambda: self.write(address, array))

    def download(self, array: Array, address: int, stream: int) -> None:
        """See `DeviceMemory`."""
        self.events.append("download")
        self.put(stream, lambda: np.copyto(array, self.read(address, array.shape, array.dtype)))

    def synchronize(self, stream: int) -> None:
        """See `DeviceMemory`."""
        self._refuse_while_capturing("synchronize")
        queue = self._queues[stream]
        while queue:
            queue.pop(0)()
            self._milliseconds += 1

    def capture(self, stream: int, work: Callable[[], None]) -> int:
        """See `DeviceMemory`."""
        self._refuse_while_capturing("capture")
        if self._no_graph:
            raise NoGraph(self._no_graph)
        if self._queues[stream]:
            raise EdgeError("The fake device captures on a stream that still has work.")
        recording = self._recording = []
        before = len(self.events)
        try:
            work()
        except EdgeError as error:
            raise NoGraph(str(error).rstrip(".")) from error
        finally:
            self._recording = None
            del self.events[before:]  # nothing of it was done
        graph = self._next = self._next + 1
        self._graphs[graph] = recording
        return graph

    def launch(self, graph: int, stream: int) -> None:
        """See `DeviceMemory`."""
        self.events.append("launch")
        self._queues[stream] += self._graphs[graph]

    def destroy_graph(self, graph: int) -> None:
        """See `DeviceMemory`."""
        self.events.append("destroy_graph")
        del self._graphs[graph]

    def create_event(self) -> int:
        """See `DeviceMemory`."""
        self._next += 1
        self._marks[self._next] = None
        return self._next

    def destroy_event(self, event: int) -> None:
        """See `DeviceMemory`."""
        del self._marks[event]

    def record(self, event: int, stream: int) -> None:
        """See `DeviceMemory`."""
        self._marks[event] = None
        self.put(stream, lambda: self._note(event))

    def elapsed(self, begin: int, end: int) -> float:
        """See `DeviceMemory`."""
        self.require_current()
        first, last = self._marks[begin], self._marks[end]
        if first is None or last is None:
            raise EdgeError("The fake device has not reached this mark.")
        return last - first

    def close(self) -> None:
        """See `DeviceMemory`."""
        self.events.append("close")

    def put(self, stream: int, work: Callable[[], None]) -> None:
        """Do it when the stream is waited for, or when what is captured is launched."""
        (self._queues[stream] if self._recording is None else self._recording).append(work)

    def write(self, address: int, array: Array) -> None:
        """Fill a buffer, all of it."""
        self._buffers[address][:] = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)

    def read(self, address: int, shape: Sequence[int], dtype: npt.DTypeLike) -> Array:
        """A buffer's content, all of it."""
        values: Array = np.frombuffer(self._buffers[address].tobytes(), dtype).reshape(shape)
        return values

    def _note(self, event: int) -> None:
        self._marks[event] = self._milliseconds
        self._milliseconds -= 1  # a mark itself takes no time

    def _keep(self, array: Array) -> int:
        address = self._next = -(-(self._next + 1) // _ALIGNMENT) * _ALIGNMENT
        self._next += array.nbytes
        self._buffers[address] = array
        return address

    def _refuse_while_capturing(self, event: str) -> None:
        self.events.append(event)
        if self.capturing:
            raise EdgeError(f"The fake device cannot {event} while it captures.")


class FakeLibrary:
    """See `PlanLibrary`.

    Args:
        memory: the device that its engines run on.
        tensors: of the engine that every plan is.
        compute: what that engine answers.
        version: of TensorRT.
    """

    flavour: Flavour = "tensorrt"
    module: Any = None

    def __init__(
        self,
        memory: FakeMemory,
        tensors: Sequence[PlanTensor],
        compute: Compute,
        version: str = "10.3.0",
    ) -> None:
        self.version = version
        self._memory = memory
        self._tensors = tuple(tensors)
        self._compute = compute

    def load(self, plan: bytes, where: str) -> LoadedPlan:
        """See `PlanLibrary`."""
        self._memory.events.append("load")
        self._memory.require_current()
        return _FakePlan(self._memory, self._tensors, self._compute)


class _FakePlan:
    def __init__(
        self, memory: FakeMemory, tensors: tuple[PlanTensor, ...], compute: Compute
    ) -> None:
        self.tensors = tensors
        self._memory = memory
        self._compute = compute
        self._addresses: dict[str, int] = {}
        self._last_run: dict[str, int] | None = None
        self._tell: Callable[[str, float], object] | None = None
        self._closed = False

    def bind(self, name: str, address: int) -> None:
        """See `LoadedPlan`."""
        self._memory.events.append("bind")
        if name not in {tensor.spec.name for tensor in self.tensors}:
            raise EdgeError(f"The fake engine has no {name}.")
        self._addresses[name] = address

    def enqueue(self, stream: int) -> None:
        """See `LoadedPlan`; addresses count as they are now."""
        self._memory.events.append("enqueue")
        if self._closed:
            raise EdgeError("The fake engine is closed.")
        bound = dict(self._addresses)
        if len(set(bound.values())) != len(self.tensors):
            raise EdgeError("The fake engine has inputs and outputs unbound, or two in one place.")
        self._memory.require_current()
        if not self._memory.capturing:
            self._last_run = bound
        elif bound != self._last_run:
            raise EdgeError("The fake engine is captured before it ran once with these addresses.")
        self._memory.put(stream, lambda: self._infer(bound))
        if self._tell and not self._memory.capturing:
            self._tell("/layers/Conv + /layers/Relu", 0.75)
            self._tell("/head/Gemm", 0.25)

    def profile(self, tell: Callable[[str, float], object]) -> None:
        """See `LoadedPlan`; it has two layers."""
        self._tell = tell

    def close(self) -> None:
        """See `LoadedPlan`."""
        if not self._closed:
            self._memory.events.append("unload")
        self._closed = True

    def _infer(self, addresses: Mapping[str, int]) -> None:
        feeds = {}
        for tensor in self.tensors:
            spec = tensor.spec
            if tensor.is_input:
                shape = [int(size) for size in spec.shape if size is not None]
                feeds[spec.name] = self._memory.read(addresses[spec.name], shape, spec.dtype)
        answers = self._compute(feeds)
        for tensor in self.tensors:
            if not tensor.is_input:
                name = tensor.spec.name
                self._memory.write(addresses[name], answers[name].astype(tensor.spec.dtype))
