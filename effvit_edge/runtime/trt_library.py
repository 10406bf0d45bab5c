"""The part of TensorRT that runs an engine, behind a protocol of the project's own.

Only what TensorRT 10.3 has is used; 10.16, 11 and TensorRT-RTX have it, too.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np

from effvit_edge.core.errors import EdgeError, EnvironmentFault, InputError
from effvit_edge.core.optional import require
from effvit_edge.runtime.graph import TensorSpec

Flavour = Literal["tensorrt", "tensorrt_rtx"]
"""The module's name: TensorRT, or TensorRT for RTX, whose engines are not each other's."""
FLAVOURS: tuple[Flavour, ...] = get_args(Flavour)
OLDEST = (10, 3)
_NAMES = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT-RTX"}


@dataclass(frozen=True)
class PlanTensor:
    """An input or output of an engine."""

    spec: TensorSpec
    is_input: bool


class LoadedPlan(Protocol):
    """An engine that is ready to run, with the one context it runs in."""

    tensors: tuple[PlanTensor, ...]

    def bind(self, name: str, address: int) -> None:
        """Say where on the device an input or output lies, from now on.

        Raises:
            EdgeError: TensorRT refuses the address.
        """

    def enqueue(self, stream: int) -> None:
        """Put one run on a stream; it does not wait.

        Raises:
            EdgeError: TensorRT refuses.
        """

    def profile(self, tell: Callable[[str, float], object]) -> None:
        """From now on, give each layer's name and milliseconds after each run that is not captured.

        A run then waits for the device.
        """

    def close(self) -> None:
        """Let go of the context, then the engine. Closing twice is allowed."""


class PlanLibrary(Protocol):
    """A TensorRT that is installed here."""

    flavour: Flavour
    version: str
    """In full, such as ``10.3.0``; engines are of one version."""
    module: Any
    """The bindings, for what makes plugins known to them."""

    def load(self, plan: bytes, where: str) -> LoadedPlan:
        """Deserialise an engine.

        Args:
            plan: what a build wrote.
            where: its file, for messages.

        Raises:
            EdgeError: TensorRT refuses it, or there is no memory for it.
            EnvironmentFault: TensorRT finds no device.
        """


class TensorRTLibrary:
    """The real one.

    Args:
        module: ``tensorrt`` or ``tensorrt_rtx``.
        flavour: the module's name.
    """

    def __init__(self, module: Any, flavour: Flavour) -> None:
        self.module = module
        self.flavour = flavour
        self.version: str = module.__version__

    def load(self, plan: bytes, where: str) -> LoadedPlan:
        """See `PlanLibrary`."""
        said: list[str] = []
        logger = make_logger(self.module, said.append)
        try:
            runtime = self.module.Runtime(logger)
        except TypeError as error:  # how the bindings say that TensorRT gave them nothing
            raise EnvironmentFault(
                f"{product(self.flavour)} does not start on this machine: {last_said(said)}."
            ) from error
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise EdgeError(
                f"{product(self.flavour)} {self.version} cannot load the engine {where}: "
                f"{last_said(said)}. Build it again from its ONNX file."
            )
        context = engine.create_execution_context()
        if context is None:
            raise EdgeError(
                f"{product(self.flavour)} cannot run the engine {where}: {last_said(said)}. Where "
                "the device is out of memory, close what else uses it."
            )
        tensors = _read_tensors(self.module, engine, where)
        return _LoadedPlan(self.module, tensors, runtime, engine, context, said)


class _LoadedPlan:
    def __init__(
        self,
        module: Any,
        tensors: tuple[PlanTensor, ...],
        runtime: Any,
        engine: Any,
        context: Any,
        said: list[str],
    ) -> None:
        self.tensors = tensors
        self._module = module
        self._runtime, self._engine, self._context = runtime, engine, context
        self._said = said

    def bind(self, name: str, address: int) -> None:
        """See `LoadedPlan`."""
        if not self._context.set_tensor_address(name, address):
            raise EdgeError(f"TensorRT refuses an address for {name}: {last_said(self._said)}.")

    def enqueue(self, stream: int) -> None:
        """See `LoadedPlan`."""
        if not self._context.execute_async_v3(stream):
            raise EdgeError(f"TensorRT could not run the engine: {last_said(self._said)}.")

    def profile(self, tell: Callable[[str, float], object]) -> None:
        """See `LoadedPlan`."""
        self._context.profiler = make_profiler(self._module, tell)

    def close(self) -> None:
        """See `LoadedPlan`."""
        # In this order: each is used by the one before it until that is gone.
        self._context = None
        self._engine = None
        self._runtime = None


def load_library(flavour: Flavour) -> TensorRTLibrary:
    """The TensorRT that is installed here.

    Raises:
        EnvironmentFault: there is none, it does not load, or it is older than 10.3.
    """
    if flavour == "tensorrt":
        module = require("tensorrt", "tensorrt")
    else:
        try:
            module = importlib.import_module(flavour)
        except ImportError as error:
            raise EnvironmentFault(f"{product(flavour)} does not load here: {error}.") from error
    library = TensorRTLibrary(module, flavour)
    if flavour == "tensorrt" and _numbers(library.version)[:2] < OLDEST:
        raise EnvironmentFault(
            f"TensorRT {library.version} is too old: engines need 10.3 (JetPack 6.1) or later. "
            "Update JetPack or TensorRT, or use --provider cuda or cpu."
        )
    return library


def make_logger(module: Any, say: Callable[[str], object]) -> Any:
    """An ``ILogger`` that gives errors to ``say`` and drops the rest."""

    class Logger(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            module.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in (module.ILogger.INTERNAL_ERROR, module.ILogger.ERROR):
                say(message)

    return Logger()


def make_profiler(module: Any, tell: Callable[[str, float], object]) -> Any:
    """An ``IProfiler`` that gives each layer's name and milliseconds to ``tell``."""

    class Profiler(module.IProfiler):  # type: ignore[misc]
        def __init__(self) -> None:
            module.IProfiler.__init__(self)

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            tell(layer_name, ms)

    return Profiler()


def product(flavour: Flavour) -> str:
    """The name for people."""
    return _NAMES[flavour]


def _read_tensors(module: Any, engine: Any, where: str) -> tuple[PlanTensor, ...]:
    tensors = []
    for i in range(engine.num_io_tensors):
        name = engine.get_tensor_name(i)
        kind = engine.get_tensor_dtype(name)
        try:
            dtype = np.dtype(module.nptype(kind)).name
        except TypeError as error:  # a type that numpy lacks, such as BF16
            raise InputError(
                f"{where} has {name} of type {kind}, which is not run here."
            ) from error
        spec = TensorSpec(name, dtype, tuple(engine.get_tensor_shape(name)))
        is_input = engine.get_tensor_mode(name) == module.TensorIOMode.INPUT
        tensors.append(PlanTensor(spec, is_input))
    return tuple(tensors)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def last_said(said: list[str]) -> str:
    """The last of what TensorRT said, which is the reason."""
    return said[-1].strip().rstrip(".") if said else "it gives no reason"
