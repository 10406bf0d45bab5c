"""An engine on a device: what it reads and writes has its place there, and a step is one launch.

Notation: H W are the model's input in pixels, T its frames; frames are uint8 RGB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from effvit_edge.core.card import ModelCard
from effvit_edge.runtime.base import Image, Logits
from effvit_edge.runtime.device_memory import Array, DeviceMemory, NoGraph
from effvit_edge.runtime.graph import NEXT_PREFIX, TensorSpec, check_graph, find_tensor
from effvit_edge.runtime.layer_times import LayerTimes
from effvit_edge.runtime.trt_library import LoadedPlan
from effvit_edge.runtime.tuning import DEFAULT, LayerTime, Split, Switches, Tuning

Addresses = Mapping[str, int]


@dataclass(frozen=True)
class _Exchange:
    """A tensor that goes between host and device with every answer."""

    array: Array
    """Of the host, never paged out."""
    address: int
    """Of the device."""
    shared: bool
    """Whether both are the same memory, so that nothing is copied."""


@dataclass(frozen=True)
class _Marks:
    """Where on the stream the device notes its time."""

    begin: int
    uploaded: int
    inferred: int
    end: int


@dataclass(frozen=True)
class _Run:
    """One way through the engine: from one slot to its partner."""

    addresses: Addresses
    graph: int | None


class PlanExecutor:
    """See `Executor`. Takes over the device and the loaded plan, and gives both back.

    All memory is taken when a pair of slots is added, and the work of a step is captured as a CUDA
    graph, one for each slot: the frame's way to the device, the engine, the logits' way back. On
    an integrated device frame and logits stay where they are, in memory that both see.

    Args:
        plan: the engine, loaded.
        memory: the device that it was loaded on.
        card: of its sidecar.
        where: its file, for messages.
        name: what runs it, for the report.
        kept: what must live as long as the plan, such as a plugin's creator.
        tuning: how it runs; the device's way of waiting was chosen with the device.

    Raises:
        InputError: the engine does not fit its card.
        EdgeError: the device has no room for its buffers.
    """

    def __init__(
        self,
        plan: LoadedPlan,
        memory: DeviceMemory,
        card: ModelCard,
        where: str,
        name: str,
        kept: object = None,
        tuning: Tuning = DEFAULT,
    ) -> None:
        self._plan, self._memory, self._kept, self._name = plan, memory, kept, name
        self._tuning = tuning
        self._layers = LayerTimes()
        self._slots: list[Addresses] = []
        self._runs: list[_Run] = []
        self._marks: _Marks | None = None
        self._answered = False
        self._no_graph = _refusal(tuning)
        self._closed = False
        self._release = ExitStack()
        self._release.callback(plan.close)
        try:
            with memory.current():
                if tuning.timed:
                    self._marks = _Marks(*(self._make_mark() for _ in range(4)))
                self._take_places(card, where)
                if tuning.profiled:
                    plan.profile(self._layers.add)
                if card.mode == "clip":
                    self._runs.append(self._prepare({}, self._release))
        except BaseException:
            self.close()
            raise

    @property
    def report(self) -> str:
        """See `Executor`."""
        wanted = self._tuning.cuda_graph and not self._tuning.profiled
        told = wanted and self._no_graph
        return f"{self._name} (no CUDA graph: {self._no_graph})" if told else self._name

    @property
    def switches(self) -> Switches:
        """See `Telemetry`."""
        chosen = f"as the driver chooses, by {self._memory.library}"
        shared = self._image.shared
        return Switches(
            cuda_graph=f"no, {self._no_graph}" if self._no_graph else "yes",
            waiting=chosen if self._tuning.waiting == "auto" else f"{self._tuning.waiting}s",
            transfers="none, memory is shared" if shared else "of memory that is never paged out",
        )

    @property
    def split_by(self) -> str:
        """See `Telemetry`."""
        return "device events" if self._marks else ""

    @property
    def split(self) -> Split | None:
        """See `Telemetry`."""
        marks, elapsed = self._marks, self._memory.elapsed
        if marks is None or not self._answered:
            return None
        with self._memory.current():
            return Split(
                upload=elapsed(marks.begin, marks.uploaded),
                infer=elapsed(marks.uploaded, marks.inferred),
                download=elapsed(marks.inferred, marks.end),
            )

    def layers(self) -> Sequence[LayerTime]:
        """See `Telemetry`."""
        return self._layers.medians()

    def add_pair(self) -> None:
        """See `SlotStore`."""
        with self._memory.current(), ExitStack() as taken:
            pair = [
                {state.name: self._allocate(state.nbytes, taken) for state in self.states}
                for _ in range(2)
            ]
            runs = [self._prepare(_from_to(*way), taken) for way in (pair, pair[::-1])]
            self._release.enter_context(taken.pop_all())
        self._slots += pair
        self._runs += runs

    def write(self, slot: int, parts: Sequence[Array]) -> None:
        """See `SlotStore`."""
        with self._memory.current():
            for address, part in zip(self._slots[slot].values(), parts, strict=True):
                self._memory.upload(address, part, self._stream)
            self._memory.synchronize(self._stream)

    def read(self, slot: int) -> dict[str, Array]:
        """See `SlotStore`."""
        parts: dict[str, Array] = {}
        with self._memory.current():
            for state in self.states:
                parts[state.name] = np.empty(state.sizes, state.dtype)
                address = self._slots[slot][state.name]
                self._memory.download(parts[state.name], address, self._stream)
            self._memory.synchronize(self._stream)
        return parts

    def infer(self, image: Image, slot: int) -> Logits:
        """See `Executor`."""
        run = self._runs[slot]
        np.copyto(self._image.array, image)
        with self._memory.current():
            if run.graph is None:
                self._bind(run.addresses)
                self._enqueue()
            else:
                self._memory.launch(run.graph, self._stream)
            self._memory.synchronize(self._stream)
        self._answered = True
        return np.array(self._logits.array)

    def close(self) -> None:
        """See `Executor`."""
        if self._closed:
            return
        self._closed = True
        try:
            with self._memory.current():
                self._release.close()
        finally:
            self._kept = None
            self._memory.close()

    def _take_places(self, card: ModelCard, where: str) -> None:
        inputs = [tensor.spec for tensor in self._plan.tensors if tensor.is_input]
        outputs = [tensor.spec for tensor in self._plan.tensors if not tensor.is_input]
        self.states = check_graph(card, inputs, outputs, where)
        self._stream = self._memory.create_stream()
        self._release.callback(self._memory.destroy_stream, self._stream)
        image = "frame" if card.mode == "stream" else "frames"
        self._image = self._exchange(find_tensor(inputs, image))
        self._logits = self._exchange(find_tensor(outputs, "logits"))
        self._bind({image: self._image.address, "logits": self._logits.address})

    def _exchange(self, tensor: TensorSpec) -> _Exchange:
        shared = self._memory.integrated and self._tuning.zero_copy
        buffer = self._memory.allocate_host(tensor.nbytes, mapped=shared)
        self._release.callback(self._memory.free_host, buffer)
        array = buffer.array.view(tensor.dtype).reshape(tensor.sizes)
        address = buffer.address
        if address is None:
            address = self._allocate(tensor.nbytes, self._release)
        return _Exchange(array, address, shared)

    def _allocate(self, size: int, release: ExitStack) -> int:
        address = self._memory.allocate(size)
        release.callback(self._memory.free, address)
        return address

    def _prepare(self, addresses: Addresses, release: ExitStack) -> _Run:
        """Run once, in which TensorRT sets itself up, and capture what a run is."""
        self._bind(addresses)
        self._enqueue()
        self._memory.synchronize(self._stream)
        if self._no_graph:
            return _Run(addresses, None)
        try:
            graph = self._memory.capture(self._stream, self._enqueue)
        except NoGraph as reason:
            self._no_graph = str(reason)
            return _Run(addresses, None)
        release.callback(self._memory.destroy_graph, graph)
        return _Run(addresses, graph)

    def _bind(self, addresses: Addresses) -> None:
        for name, address in addresses.items():
            self._plan.bind(name, address)

    def _enqueue(self) -> None:
        """Put all of a run on the stream, for the addresses that are bound."""
        marks = self._marks
        if marks:
            self._memory.record(marks.begin, self._stream)
        if not self._image.shared:
            self._memory.upload(self._image.address, self._image.array, self._stream)
        if marks:
            self._memory.record(marks.uploaded, self._stream)
        self._plan.enqueue(self._stream)
        if marks:
            self._memory.record(marks.inferred, self._stream)
        if not self._logits.shared:
            self._memory.download(self._logits.array, self._logits.address, self._stream)
        if marks:
            self._memory.record(marks.end, self._stream)

    def _make_mark(self) -> int:
        event = self._memory.create_event()
        self._release.callback(self._memory.destroy_event, event)
        return event


def _refusal(tuning: Tuning) -> str:
    """Why nothing is to be captured; empty where it is."""
    if tuning.profiled:
        return "layers are timed one by one"
    return "" if tuning.cuda_graph else "switched off"


def _from_to(source: Addresses, target: Addresses) -> Addresses:
    """Where a step reads the state, and where it writes the next."""
    return {**source, **{NEXT_PREFIX + name: address for name, address in target.items()}}
