"""The part of TensorRT that builds an engine, behind a protocol of the project's own.

What only some versions have is looked for, never assumed: 10.3 (JetPack 6), 10.16 (JetPack 7.2),
11 and TensorRT-RTX. Precision lies in the ONNX file and networks are strongly typed, which all of
them take; the precision flags of 10 are gone in 11.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from effvit_edge.engine.faults import BuildFault, classify, classify_parser
from effvit_edge.engine.options import EngineOptions
from effvit_edge.runtime.trt_library import last_said, make_logger

Step = Callable[[str, float], None]
"""Told the phase of a build and how much of it is done, 0 to 1."""


class PlanBuilder(Protocol):
    """One build: parse, configure, build, then close."""

    def parse(self, onnx: Path) -> None:
        """Read the graph.

        Raises:
            BuildFault: it is no graph that TensorRT takes.
        """

    def configure(self, options: EngineOptions, timings: bytes | None, step: Step) -> None:
        """Choose how to build.

        Args:
            options: the choices.
            timings: a timing cache of this device and version, to start from.
            step: told the progress.

        Raises:
            BuildFault: this TensorRT lacks something that was chosen.
        """

    def build(self) -> bytes:
        """The engine.

        Raises:
            BuildFault: there is none.
        """

    def timings(self) -> bytes | None:
        """The timing cache after the build, or None where this TensorRT keeps none."""

    def close(self) -> None:
        """Let go of everything. Closing twice is allowed."""


class TensorRTBuilder:
    """The real one.

    Args:
        module: ``tensorrt`` or ``tensorrt_rtx``.
        weak: whether the network is typed by TensorRT instead of by the file.
        kept: what must live as long, such as a plugin's creator.

    Raises:
        BuildFault: TensorRT does not start.
    """

    def __init__(self, module: Any, *, weak: bool = False, kept: object = None) -> None:
        self._trt = module
        self._kept = kept
        self._said: list[str] = []
        self._logger = make_logger(module, self._said.append)
        try:
            self._builder = module.Builder(self._logger)
        except TypeError as error:  # how the bindings say that TensorRT gave them nothing
            raise BuildFault("device", last_said(self._said)) from error
        self._network = self._builder.create_network(0 if weak else self._strong())
        self._parser: Any = module.OnnxParser(self._network, self._logger)
        self._config: Any = None
        self._monitor: Any = None

    def parse(self, onnx: Path) -> None:
        """See `PlanBuilder`."""
        if self._parser.parse(onnx.read_bytes()):
            return
        if not self._parser.num_errors:
            raise BuildFault("graph", last_said(self._said))
        error = self._parser.get_error(0)
        code = getattr(error.code(), "name", str(error.code()))
        raise classify_parser(error.desc(), code, error.node_name(), error.node_operator())

    def configure(self, options: EngineOptions, timings: bytes | None, step: Step) -> None:
        """See `PlanBuilder`."""
        trt, config = self._trt, self._builder.create_builder_config()
        workspace = options.workspace_mib << 20
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
        config.builder_optimization_level = options.optimization_level
        if not options.tf32:
            config.clear_flag(trt.BuilderFlag.TF32)
        if options.weak_precision is not None:
            self._allow(config, options.weak_precision)
        if timings is not None:
            _give_timings(config, timings)
        self._monitor = _make_monitor(trt, step)
        config.progress_monitor = self._monitor
        self._config = config

    def build(self) -> bytes:
        """See `PlanBuilder`."""
        plan = self._builder.build_serialized_network(self._network, self._config)
        if plan is None:
            raise classify(" / ".join(self._said) or "it gives no reason")
        return bytes(memoryview(plan))

    def timings(self) -> bytes | None:
        """See `PlanBuilder`."""
        cache = self._config.get_timing_cache()
        return None if cache is None else bytes(memoryview(cache.serialize()))

    def close(self) -> None:
        """See `PlanBuilder`."""
        # In this order: each is used by those before it until they are gone.
        self._config = self._parser = self._network = self._builder = self._monitor = None
        self._kept = None

    def _strong(self) -> int:
        """The flag of strongly typed networks, which is the only kind where there is no flag."""
        flag = getattr(self._trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
        return 0 if flag is None else 1 << int(flag)

    def _allow(self, config: Any, precision: str) -> None:
        for name in ("FP16", "INT8") if precision == "int8" else ("FP16",):
            flag = getattr(self._trt.BuilderFlag, name, None)
            if flag is None:
                raise BuildFault(
                    "library",
                    f"This TensorRT has no builds of weak precision ({name}). Export the ONNX file "
                    f"with --precision {precision} instead; the engine takes it from there.",
                )
            config.set_flag(flag)


def _give_timings(config: Any, timings: bytes) -> None:
    """Start from a timing cache, or from an empty one where it is damaged or another device's."""
    cache = config.create_timing_cache(timings)
    if cache is None or not config.set_timing_cache(cache, False):  # False: no other device's
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _make_monitor(module: Any, step: Step) -> Any:
    """An ``IProgressMonitor`` that tells how much of the outermost phase is done."""

    class Monitor(module.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)
            self._phases = Phases(step)

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            self._phases.start(name, parent, steps)

        def step_complete(self, name: str, done: int) -> bool:
            self._phases.complete(name, done)
            return True  # go on

        def phase_finish(self, name: str) -> None:
            self._phases.finish(name)

    return Monitor()


class Phases:
    """Nested phases, each of a number of steps, as one share of the outermost."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._open: dict[str, list[Any]] = {}  # name -> parent, steps, steps done

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase of ``steps`` steps begins, within one step of ``parent``."""
        self._open[name] = [parent, max(steps, 1), 0]
        self._tell(name)

    def complete(self, name: str, done: int) -> None:
        """The step numbered ``done`` from 0 is complete."""
        if name in self._open:
            self._open[name][2] = done + 1
            self._tell(name)

    def finish(self, name: str) -> None:
        """A phase is over."""
        if name in self._open:
            self._open[name][2] = self._open[name][1]
            self._tell(name)
            del self._open[name]

    def _tell(self, name: str) -> None:
        root, share = name, 0.0
        seen = set()
        while root in self._open and root not in seen:
            seen.add(root)
            parent, steps, done = self._open[root]
            share = min((done + share) / steps, 1.0)
            if parent not in self._open:
                break
            root = parent
        self._step(root, share)
