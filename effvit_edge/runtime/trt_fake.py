"""TensorRT and a device that are not there: what sessions ask of them is recorded and obeyed.

Work that is put on a stream is done when the stream is waited for, no sooner, as late as a real
device may do it. What a real device would answer with garbage or a crash is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from effvit_edge.core.errors import EdgeError
from effvit_edge.runtime.device_memory import DeviceFacts
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

    Attributes:
        events: what was done, in order: ``allocate``, ``free``, ``create_stream``,
            ``destroy_stream``, ``upload``, ``download``, ``synchronize``, ``close``, and of the
            library ``load``, ``bind``, ``enqueue`` and ``unload``.
    """

    library = "fake memory"

    def __init__(self, facts: DeviceFacts = ORIN_NANO, room: int | None = None) -> None:
        self._facts = facts
        self._room = room
        self._next = _FIRST_ADDRESS
        self._buffers: dict[int, Array] = {}
        self._queues: dict[int, list[Callable[[], None]]] = {}
        self.events: list[str] = []

    @property
    def held(self) -> int:
        """How many buffers and streams were not given back."""
        return len(self._buffers) + len(self._queues)

    def facts(self) -> DeviceFacts:
        """See `DeviceMemory`."""
        return self._facts

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
        if self._room is not None and sum(b.nbytes for b in self._buffers.values()) > self._room:
            raise EdgeError("The fake device is out of memory.")
        self.events.append("allocate")
        address = self._next
        self._next += -(-size // _ALIGNMENT) * _ALIGNMENT
        self._buffers[address] = np.full(size, _GARBAGE, np.uint8)
        return address

    def free(self, address: int) -> None:
        """See `DeviceMemory`."""
        self.events.append("free")
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
        self.events.append("synchronize")
        queue = self._queues[stream]
        while queue:
            queue.pop(0)()

    def close(self) -> None:
        """See `DeviceMemory`."""
        self.events.append("close")

    def put(self, stream: int, work: Callable[[], None]) -> None:
        """Do it when the stream is waited for."""
        self._queues[stream].append(work)

    def write(self, address: int, array: Array) -> None:
        """Fill a buffer, all of it."""
        self._buffers[address][:] = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)

    def read(self, address: int, shape: Sequence[int], dtype: npt.DTypeLike) -> Array:
        """A buffer's content, all of it."""
        values: Array = np.frombuffer(self._buffers[address].tobytes(), dtype).reshape(shape)
        return values


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
        return _FakePlan(self._memory, self._tensors, self._compute)


class _FakePlan:
    def __init__(
        self, memory: FakeMemory, tensors: tuple[PlanTensor, ...], compute: Compute
    ) -> None:
        self.tensors = tensors
        self._memory = memory
        self._compute = compute
        self._addresses: dict[str, int] = {}
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
        self._memory.put(stream, lambda: self._infer(bound))

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
