"""Sessions on TensorRT: a plan and its sidecar in, answers out; a stream's state stays there.

Notation: H W are the model's input in pixels, T its frames; frames are uint8 RGB.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import EdgeError, IncompatibleArtifact, InputError
from effvit_edge.runtime.base import CheckedSession, Image, Logits, State
from effvit_edge.runtime.compatibility import Here, check_compatible, this_system
from effvit_edge.runtime.device_memory import DeviceMemory, open_device_memory
from effvit_edge.runtime.graph import NEXT_PREFIX, TensorSpec, check_graph
from effvit_edge.runtime.sidecar import PlanSidecar, read_plan, read_sidecar
from effvit_edge.runtime.trt_library import (
    LoadedPlan,
    PlanLibrary,
    load_library,
    product,
)

Array = npt.NDArray[Any]
RegisterPlugin = Callable[[PlanLibrary, str], object]
"""Makes the attention plugin known to TensorRT: given the library and the hash of the plugin's
sources, it returns what must be kept as long as the engine runs."""

_SLOTS = 2  # a step reads the state from one and writes the next into the other


class DeviceState(Mapping[str, Array]):
    """A state that lies in one of the session's slots, until the slot is needed again.

    It reads as arrays of the host. What is still held when its slot is to be written is copied to
    the host first, so an old state can be stepped from again; a stream that holds only its newest
    one never pays for that.
    """

    def __init__(self, names: tuple[str, ...], slot: int, fetch: Callable[[int], dict[str, Array]]):
        self._names = names
        self._fetch = fetch
        self._slot = slot
        self._kept: dict[str, Array] | None = None

    def keep(self) -> None:
        """Copy it to the host, before the slot is written anew."""
        self._kept = self._read()

    def __getitem__(self, name: str) -> Array:
        if name not in self._names:
            raise KeyError(name)
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _read(self) -> dict[str, Array]:
        return self._fetch(self._slot) if self._kept is None else self._kept


class TensorRTSession(CheckedSession):
    """An engine on TensorRT. Opened by ``open_plan``.

    Takes over the device and the loaded plan, and gives both back when closed or when opening
    fails.

    Args:
        plan: the engine, loaded.
        memory: the device that it was loaded on.
        card: of its sidecar.
        where: its file, for messages.
        provider_report: what runs it.
        kept: what must live as long as the plan, such as a plugin's creator.

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
        provider_report: str,
        kept: object = None,
    ) -> None:
        with ExitStack() as undo:
            undo.callback(memory.close)
            undo.callback(plan.close)
            inputs = [tensor.spec for tensor in plan.tensors if tensor.is_input]
            outputs = [tensor.spec for tensor in plan.tensors if not tensor.is_input]
            self._states = check_graph(card, inputs, outputs, where)
            self._names = tuple(state.name for state in self._states)
            super().__init__(card, provider_report, frozenset(self._names))
            self._plan, self._memory, self._kept = plan, memory, kept
            self._stream = memory.create_stream()
            undo.callback(memory.destroy_stream, self._stream)
            self._image = "frame" if card.mode == "stream" else "frames"
            self._image_address = self._allocate(_find(inputs, self._image), undo)
            self._logits_address = self._allocate(_find(outputs, "logits"), undo)
            self._slots = [
                {state.name: self._allocate(state, undo) for state in self._states}
                for _ in range(_SLOTS)
            ]
            self._holders: list[weakref.ref[DeviceState] | None] = [None] * _SLOTS
            plan.bind(self._image, self._image_address)
            plan.bind("logits", self._logits_address)
            self._release = undo.pop_all()

    def close(self) -> None:
        """See ``Session.close``; states that are still held stay readable."""
        if not self._closed:
            for slot in range(_SLOTS):
                with contextlib.suppress(EdgeError):  # of a device that failed
                    self._vacate(slot)
        super().close()
        self._release.close()
        self._kept = None

    def _run(self, clip: Image) -> Logits:
        return self._infer(clip)

    def _init_state(self) -> State:
        return {state.name: np.zeros(_sizes(state), state.dtype) for state in self._states}

    def _step(self, frame: Image, state: State) -> tuple[Logits, State]:
        source = self._place(state)
        target = 1 - source
        self._vacate(target)
        for name in self._names:
            self._plan.bind(name, self._slots[source][name])
            self._plan.bind(NEXT_PREFIX + name, self._slots[target][name])
        logits = self._infer(frame)
        after = DeviceState(self._names, target, self._fetch)
        self._holders[target] = weakref.ref(after)
        return logits, after

    def _infer(self, image: Image) -> Logits:
        image = np.ascontiguousarray(image)
        logits: Logits = np.empty(self._card.num_classes, np.float32)
        self._memory.upload(self._image_address, image, self._stream)
        self._plan.enqueue(self._stream)
        self._memory.download(logits, self._logits_address, self._stream)
        self._memory.synchronize(self._stream)
        return logits

    def _place(self, state: State) -> int:
        """The slot in which a state lies, after bringing it there if it lies in none."""
        for slot, holder in enumerate(self._holders):
            if holder is not None and holder() is state:
                return slot
        parts = [self._checked(spec, state[spec.name]) for spec in self._states]
        slot = 1 if self._held(0) is not None else 0
        self._vacate(slot)
        for spec, part in zip(self._states, parts, strict=True):
            self._memory.upload(self._slots[slot][spec.name], part, self._stream)
        self._memory.synchronize(self._stream)
        return slot

    def _checked(self, spec: TensorSpec, part: Any) -> Array:
        array = np.ascontiguousarray(part)
        if array.shape != spec.shape or array.dtype.name != spec.dtype:
            raise InputError(
                f"The state's {spec.name} is {array.dtype.name} {list(array.shape)}, this model's "
                f"is {spec}. Take it from init_state() or from the last step()."
            )
        return array

    def _held(self, slot: int) -> DeviceState | None:
        holder = self._holders[slot]
        return None if holder is None else holder()

    def _vacate(self, slot: int) -> None:
        """Make a slot free to be written."""
        holder = self._held(slot)
        self._holders[slot] = None
        if holder is not None:
            holder.keep()

    def _fetch(self, slot: int) -> dict[str, Array]:
        """A slot's state as arrays of the host."""
        if self._closed:
            raise EdgeError("This state was lost when its session was closed: the device failed.")
        parts = {}
        for state in self._states:
            parts[state.name] = np.empty(_sizes(state), state.dtype)
            address = self._slots[slot][state.name]
            self._memory.download(parts[state.name], address, self._stream)
        self._memory.synchronize(self._stream)
        return parts

    def _allocate(self, tensor: TensorSpec, undo: ExitStack) -> int:
        size = int(np.prod(_sizes(tensor))) * np.dtype(tensor.dtype).itemsize
        address = self._memory.allocate(size)
        undo.callback(self._memory.free, address)
        return address


def open_plan(
    path: Path,
    *,
    register: RegisterPlugin | None = None,
    sidecar: PlanSidecar | None = None,
    library: PlanLibrary | None = None,
    memory: DeviceMemory | None = None,
) -> TensorRTSession:
    """Load an engine that fits this machine.

    Args:
        path: the plan; its sidecar lies beside it.
        register: for an engine with the attention plugin.
        sidecar: instead of the one beside the plan.
        library: TensorRT; the one installed by default.
        memory: the device, which the session closes; the first one by default.

    Raises:
        InputError: the sidecar is absent or changed, or the plan is not the one it describes.
        EnvironmentFault: TensorRT, the device or the plugin is not here.
        IncompatibleArtifact: the engine was built for something else.
    """
    with ExitStack() as undo:
        if memory is not None:
            undo.callback(memory.close)
        sidecar = sidecar or read_sidecar(path)
        library = library or load_library(sidecar.flavour)
        if memory is None:
            memory = open_device_memory()
            undo.callback(memory.close)
        device = memory.facts()
        here = Here(library.flavour, library.version, device, this_system())
        check_compatible(path, sidecar, here)
        kept = _register(path, sidecar, library, register)
        plan = library.load(read_plan(path, sidecar), str(path))
        undo.pop_all()  # the session sees to it from here on
    report = f"{product(library.flavour)} {library.version} on {device.name}"
    return TensorRTSession(plan, memory, sidecar.card, str(path), report, kept)


def _register(
    path: Path, sidecar: PlanSidecar, library: PlanLibrary, register: RegisterPlugin | None
) -> object:
    if sidecar.plugin is None:
        return None
    if register is None:
        raise IncompatibleArtifact(
            f"{path} runs with the attention plugin, which runtime.open_session does not load. "
            "Open it with engine.open_engine."
        )
    return register(library, sidecar.plugin)


def _find(tensors: list[TensorSpec], name: str) -> TensorSpec:
    return next(tensor for tensor in tensors if tensor.name == name)


def _sizes(tensor: TensorSpec) -> tuple[int, ...]:
    """An engine's shapes are fixed: ``check_graph`` has seen to it."""
    return tuple(size for size in tensor.shape if isinstance(size, int))
