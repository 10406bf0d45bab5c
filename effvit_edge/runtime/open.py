"""The way in: a model's path and a provider's name to a session."""

from __future__ import annotations

import os
from pathlib import Path

from effvit_edge.core.errors import InputError
from effvit_edge.runtime.base import Session
from effvit_edge.runtime.onnxrt import open_onnx

PROVIDERS = ("auto", "cpu", "cuda", "tensorrt")
_MAX_DEFAULT_THREADS = 4
_ENGINE_SUFFIXES = (".plan", ".engine")


def open_session(
    path: str | os.PathLike[str], provider: str = "auto", threads: int | None = None
) -> Session:
    """Load a model and make it ready to answer.

    Args:
        path: an ONNX file written by the export command.
        provider: ``cpu``, ``cuda``, ``tensorrt``, or ``auto``: the fastest that works here, any
            fall back being told in ``session.provider_report``.
        threads: of the CPU for one operator; by default half of those this process may use, at
            most 4, so that decoding and encoding have the rest.

    Raises:
        InputError: the file is missing, is no model of this package, or does not fit the provider.
        EnvironmentFault: the provider was named and does not work here.
    """
    path = Path(path)
    if provider not in PROVIDERS:
        raise InputError(f"There is no provider '{provider}'. Use one of: {', '.join(PROVIDERS)}.")
    if threads is not None and threads < 1:
        raise InputError(f"The number of threads must be at least 1, got {threads}.")
    _check_file(path)
    if provider == "tensorrt":
        raise InputError(
            f"TensorRT runs an engine, and {path.name} is an ONNX file. "
            "This version does not build engines yet: use --provider auto, cuda or cpu."
        )
    return open_onnx(path, provider, threads or default_threads())


def default_threads() -> int:
    """Half of the processors this process may use, at least 1 and at most 4."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return max(1, min(_MAX_DEFAULT_THREADS, count // 2))


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(
            f"{path} is a folder. Give an ONNX file; a checkpoint becomes one with: "
            f"effvit-edge export {path} -o model.onnx."
        )
    if not path.is_file():
        raise InputError(f"There is no model at {path}.")
    if path.suffix in _ENGINE_SUFFIXES:
        raise InputError(
            f"{path.name} is a TensorRT engine, which this version does not run yet. "
            "Give the ONNX file it was built from."
        )
