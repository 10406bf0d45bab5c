"""Stands for the module ``tensorrt`` where there is none: what is asked of it is recorded.

Its names are those of the bindings, which another test holds them to. The environment variable
``STAND_IN`` says how it fails; without it, it builds a plan of the ONNX file's own bytes.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

__version__ = os.environ.get("STAND_IN_VERSION", "10.3.0")
EVENTS: list[Any] = []
_FAILS = "STAND_IN"


def _fails() -> str:
    return os.environ.get(_FAILS, "")


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class IProgressMonitor:
    pass


class IProfiler:
    def report_layer_time(self, layer_name: str, ms: float) -> None:
        raise NotImplementedError


class BuilderFlag:
    TF32, FP16, INT8 = range(3)


class MemoryPoolType:
    WORKSPACE = 0


class NetworkDefinitionCreationFlag:
    STRONGLY_TYPED = 1


class TensorIOMode:
    INPUT, OUTPUT = 1, 2


class DataType:
    FLOAT, HALF, UINT8, BF16 = range(4)


def nptype(kind: int) -> Any:
    return {
        DataType.FLOAT: np.float32,
        DataType.HALF: np.float16,
        DataType.UINT8: np.uint8,
    }.get(kind) or _no_type(kind)


def _no_type(kind: int) -> Any:
    raise TypeError(f"no numpy type for {kind}")


class _Released:
    """Tells when nothing names it any more."""

    def __del__(self) -> None:
        EVENTS.append(f"release {type(self).__name__}")


class _Cache:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def serialize(self) -> bytes:
        return self._content + b"+"


class _Config(_Released):
    builder_optimization_level = 3
    progress_monitor: Any = None
    _cache: Any = None

    def set_memory_pool_limit(self, pool: int, size: int) -> None:
        EVENTS.append(("workspace", pool, size))

    def set_flag(self, flag: int) -> None:
        EVENTS.append(("set", flag))

    def clear_flag(self, flag: int) -> None:
        EVENTS.append(("clear", flag))

    def create_timing_cache(self, content: bytes) -> Any:
        return None if content == b"damaged" else _Cache(content)

    def set_timing_cache(self, cache: _Cache, ignore_mismatch: bool) -> bool:
        EVENTS.append(("timings", cache._content, ignore_mismatch))
        if cache._content == b"another device's":
            return False
        self._cache = cache
        return True

    def get_timing_cache(self) -> Any:
        return self._cache


class _Network(_Released):
    _content = b""


class _ParserError:
    def __init__(self, words: list[str]) -> None:
        self._code, self._text, self._node, self._operator = words

    def code(self) -> Any:
        return SimpleNamespace(name=self._code)

    def desc(self) -> str:
        return self._text

    def node_name(self) -> str:
        return self._node

    def node_operator(self) -> str:
        return self._operator


class OnnxParser(_Released):
    num_errors = 0

    def __init__(self, network: _Network, logger: Any) -> None:
        self._network = network

    def parse(self, content: bytes) -> bool:
        EVENTS.append("parse")
        self._network._content = content
        self.num_errors = 1 if _fails().startswith("parse") else 0
        return not self.num_errors

    def get_error(self, number: int) -> Any:
        return _ParserError(_fails().split("|")[1:])


class Builder(_Released):
    def __init__(self, logger: Any) -> None:
        self._logger = logger
        if _fails().startswith("start|"):
            logger.log(ILogger.ERROR, _fails().split("|")[1])
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def create_network(self, flags: int) -> _Network:
        EVENTS.append(("network", flags))
        return _Network()

    def create_builder_config(self) -> _Config:
        return _Config()

    def build_serialized_network(self, network: _Network, config: _Config) -> Any:
        EVENTS.append(("build", config.builder_optimization_level))
        fails = _fails()
        if fails.startswith("build|"):
            self._logger.log(ILogger.WARNING, "a warning")
            self._logger.log(ILogger.ERROR, fails.split("|")[1])
            return None
        if fails == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if fails == "crashed":
            sys.stderr.write("terminate called without an active exception\n")
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGABRT)
        if fails == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if fails.startswith("torch"):
            import torch  # noqa: F401 - that this cannot be is what is tested
        sys.stdout.write("words of a library, in the wrong place, on no line of their own")
        if fails.startswith("hang|"):
            Path(fails.split("|")[1]).write_text(str(os.getpid()))
        monitor = config.progress_monitor
        monitor.phase_start("Building engine", None, 4)
        for step in range(4):
            monitor.phase_start("Timing tactics", "Building engine", 2)
            monitor.step_complete("Timing tactics", 0)
            monitor.phase_finish("Timing tactics")
            monitor.step_complete("Building engine", step)
            if fails.startswith("hang|"):
                time.sleep(600)  # until it is killed
        monitor.phase_finish("Building engine")
        return memoryview(b"ftrt" + network._content)


class Runtime(_Released):
    def __init__(self, logger: Any) -> None:
        self._logger = logger
        if _fails().startswith("start|"):
            logger.log(ILogger.ERROR, _fails().split("|")[1])
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def deserialize_cuda_engine(self, plan: bytes) -> Any:
        EVENTS.append("deserialize")
        if _fails().startswith("load|"):
            self._logger.log(ILogger.ERROR, _fails().split("|")[1])
            return None
        return _Engine(self._logger)


class _Engine(_Released):
    """One frame in, logits out; a state of half precision."""

    _tensors = (
        ("frame", DataType.UINT8, (8, 8, 3), TensorIOMode.INPUT),
        ("state_mean", DataType.HALF, (3,), TensorIOMode.INPUT),
        ("logits", DataType.FLOAT, (3,), TensorIOMode.OUTPUT),
        ("next_state_mean", DataType.HALF, (3,), TensorIOMode.OUTPUT),
    )
    num_io_tensors = len(_tensors)

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self._by_name = {tensor[0]: tensor for tensor in self._tensors}

    def get_tensor_name(self, number: int) -> str:
        return self._tensors[number][0]

    def get_tensor_dtype(self, name: str) -> int:
        return DataType.BF16 if _fails() == "type" else self._by_name[name][1]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._by_name[name][2]

    def get_tensor_mode(self, name: str) -> int:
        return self._by_name[name][3]

    def create_execution_context(self) -> Any:
        if _fails().startswith("context|"):
            self._logger.log(ILogger.ERROR, _fails().split("|")[1])
            return None
        return _Context(self)


class _Context(_Released):
    profiler: Any = None

    def __init__(self, engine: _Engine) -> None:
        self._engine = engine

    def set_tensor_address(self, name: str, address: int) -> bool:
        EVENTS.append(("address", name, address))
        return _fails() != "address"

    def execute_async_v3(self, stream: int) -> bool:
        EVENTS.append(("enqueue", stream))
        if self.profiler is not None:
            self.profiler.report_layer_time("/layers/Conv", 0.5)
        return _fails() != "enqueue"
