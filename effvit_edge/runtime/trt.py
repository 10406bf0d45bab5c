"""Opening engines: a plan and its sidecar in, a session out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from effvit_edge.core.errors import IncompatibleArtifact
from effvit_edge.runtime.compatibility import Here, check_compatible, this_system
from effvit_edge.runtime.device_memory import DeviceMemory
from effvit_edge.runtime.device_session import DeviceSession
from effvit_edge.runtime.memory_open import open_device_memory
from effvit_edge.runtime.sidecar import PlanSidecar, read_plan, read_sidecar
from effvit_edge.runtime.trt_executor import PlanExecutor
from effvit_edge.runtime.trt_library import PlanLibrary, load_library, product
from effvit_edge.runtime.tuning import DEFAULT, Tuning

RegisterPlugin = Callable[[PlanLibrary, str], object]
"""Makes the attention plugin known to TensorRT: given the library and the hash of the plugin's
sources, it returns what must be kept as long as the engine runs."""


def open_plan(
    path: Path,
    *,
    register: RegisterPlugin | None = None,
    sidecar: PlanSidecar | None = None,
    library: PlanLibrary | None = None,
    memory: DeviceMemory | None = None,
    device: int = 0,
    tuning: Tuning = DEFAULT,
) -> DeviceSession:
    """Load an engine that fits this machine.

    Args:
        path: the plan; its sidecar lies beside it.
        register: for an engine with the attention plugin.
        sidecar: instead of the one beside the plan.
        library: TensorRT; the one installed by default.
        memory: the device, which the session closes; the one of number ``device`` by default.
        device: which of CUDA's devices, by its number.
        tuning: how it runs.

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
            memory = open_device_memory(device, tuning.waiting)
            undo.callback(memory.close)
        facts = memory.facts()
        here = Here(library.flavour, library.version, facts, this_system())
        check_compatible(path, sidecar, here)
        with memory.current():
            kept = _register(path, sidecar, library, register)
            plan = library.load(read_plan(path, sidecar), str(path))
        undo.pop_all()  # the executor sees to it from here on
    name = f"{product(library.flavour)} {library.version} on {facts.name}"
    executor = PlanExecutor(plan, memory, sidecar.card, str(path), name, kept, tuning)
    return DeviceSession(sidecar.card, executor)


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
