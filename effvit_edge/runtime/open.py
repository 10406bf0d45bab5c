"""The way in: a model's path and a provider's name to a session."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from effvit_edge.core.errors import InputError
from effvit_edge.runtime.base import Session
from effvit_edge.runtime.kinds import is_plan
from effvit_edge.runtime.onnxrt import open_onnx
from effvit_edge.runtime.ready import WARM_UP, make_ready
from effvit_edge.runtime.trt import open_plan
from effvit_edge.runtime.tuning import DEFAULT, Tuning

PROVIDERS = ("auto", "cpu", "cuda", "tensorrt")
_MAX_DEFAULT_THREADS = 4


def open_session(
    path: str | os.PathLike[str],
    provider: str = "auto",
    threads: int | None = None,
    *,
    device: int = 0,
    warm_up: int = WARM_UP,
    self_test: bool = True,
    tried: str = "",
    tuning: Tuning = DEFAULT,
) -> Session:
    """Load a model and make it ready to answer.

    Args:
        path: an ONNX file or an engine written by the export command.
        provider: ``cpu``, ``cuda``, ``tensorrt``, or ``auto``: the fastest that works here, any
            fall back being told in ``session.provider_report``.
        threads: of the CPU for one operator; by default half of those this process may use, at
            most 4, so that decoding and encoding have the rest.
        device: which of CUDA's devices, by its number; the CPU has none.
        warm_up: how many answers to compute for nothing, so that the first is not late; a
            self-test does as well.
        self_test: hold the session to the answers of ``NAME.verify.npz``, where that lies beside
            the model.
        tried: for the report: what was tried before, and why it does not work.
        tuning: the switches of how it runs, and whether it tells where its time goes.

    Raises:
        InputError: the file is missing, is no model of this package, or does not fit the provider.
        EnvironmentFault: the provider was named and does not work here.
        IncompatibleArtifact: the engine was built for another device or version.
        GateFailure: the self-test failed.
    """
    path = Path(path)
    if warm_up < 0:
        raise InputError(f"The number of answers to warm up with must be 0 or more, got {warm_up}.")
    session = _open(path, provider, _How(threads, device, tuning), tried)
    return make_ready(session, path, warm_up=warm_up, self_test=self_test)


def default_threads() -> int:
    """Half of the processors this process may use, at least 1 and at most 4."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return max(1, min(_MAX_DEFAULT_THREADS, count // 2))


@dataclass(frozen=True)
class _How:
    """Whatever runs the model."""

    threads: int | None
    device: int
    tuning: Tuning


def _open(path: Path, provider: str, how: _How, tried: str) -> Session:
    threads, device = how.threads, how.device
    if provider not in PROVIDERS:
        raise InputError(f"There is no provider '{provider}'. Use one of: {', '.join(PROVIDERS)}.")
    if threads is not None and threads < 1:
        raise InputError(f"The number of threads must be at least 1, got {threads}.")
    if device < 0:
        raise InputError(f"The number of the device must be 0 or more, got {device}.")
    _check_file(path)
    if is_plan(path):
        if provider not in ("auto", "tensorrt"):
            raise InputError(
                f"{path} is a TensorRT engine, which {provider} does not run. Use --provider "
                "auto or tensorrt, or give the ONNX file it was built from."
            )
        return open_plan(path, device=device, tuning=how.tuning)
    if provider == "tensorrt":
        raise InputError(
            f"TensorRT runs an engine, and {path.name} is an ONNX file. Build one of it: "
            f"effvit-edge export {path} --format engine."
        )
    threads = threads or default_threads()
    return open_onnx(path, provider, threads, tried, device=device, tuning=how.tuning)


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(
            f"{path} is a folder. Give an ONNX file or an engine; a checkpoint becomes one with: "
            f"effvit-edge export {path} -o model.onnx."
        )
    if not path.is_file():
        raise InputError(f"There is no model at {path}.")
