"""Opening the model a command was given: an engine is found or built first, where one is to run."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from effvit_edge.core.errors import EdgeError, InputError

if TYPE_CHECKING:
    from effvit_edge.runtime import Session, Tuning


def open_model(
    path: Path,
    provider: str = "auto",
    threads: int | None = None,
    *,
    device: int = 0,
    warm_up: int | None = None,
    self_test: bool = True,
    rebuild: bool = False,
    tuning: Tuning | None = None,
) -> Session:
    """A session for an ONNX file or an engine, tested and warm.

    An ONNX file with ``tensorrt`` becomes an engine, kept for the next time. With ``auto`` it does
    where an engine of it is built already, or where nothing else could run it; a build takes
    minutes, and is not begun unasked.

    Args:
        path: the ONNX file or the plan.
        provider: see ``runtime.open_session``; so are the following.
        threads: of the CPU.
        device: of CUDA's, by its number.
        warm_up: how many answers to compute for nothing; a few by default.
        self_test: hold it to ``NAME.verify.npz`` beside ``path``.
        rebuild: build the engine anew; a plan's from the ONNX file beside it.
        tuning: see ``runtime.open_session``.

    Raises:
        EdgeError: see ``runtime.open_session`` and ``engine.build_engine``.
    """
    from effvit_edge.runtime import Tuning
    from effvit_edge.runtime.ready import WARM_UP, make_ready

    session = _open(path, provider, _How(threads, device, tuning or Tuning()), rebuild)
    steps = WARM_UP if warm_up is None else warm_up
    return make_ready(session, path, warm_up=steps, self_test=self_test)


@dataclass(frozen=True)
class _How:
    """Whatever runs the model."""

    threads: int | None
    device: int
    tuning: Tuning

    @property
    def engine(self) -> dict[str, Any]:
        """Of an engine."""
        return {"device": self.device, "tuning": self.tuning}


def _open(path: Path, provider: str, how: _How, rebuild: bool) -> Session:
    from effvit_edge.engine import open_engine
    from effvit_edge.runtime.kinds import is_plan

    if not path.is_file():
        return _open_as_it_is(path, provider, how)  # which says what is there instead
    if is_plan(path):
        if provider not in ("auto", "tensorrt"):
            return _open_as_it_is(path, provider, how)  # which refuses it
        if rebuild:
            _build(_source_of(path), path, rebuild=True)
        return open_engine(path, **how.engine)
    if provider == "tensorrt" or rebuild:
        if provider not in ("auto", "tensorrt"):
            raise InputError(f"--rebuild is for TensorRT engines, and --provider is {provider}.")
        return open_engine(_build(path, rebuild=rebuild), **how.engine)
    if provider == "auto" and find_spec("tensorrt") is not None:
        return _open_best(path, how)
    return _open_as_it_is(path, provider, how)


def _open_as_it_is(path: Path, provider: str, how: _How, tried: str = "") -> Session:
    from effvit_edge.runtime import open_session

    return open_session(
        path,
        provider,
        how.threads,
        **how.engine,
        warm_up=0,
        self_test=False,
        tried=tried,
    )


def _open_best(path: Path, how: _How) -> Session:
    """With TensorRT here: its engine where one is built, else ONNX Runtime and why."""
    from effvit_edge.engine import find_engine, open_engine

    try:
        plan = find_engine(path)
        if plan is None and find_spec("onnxruntime") is None:
            plan = _build(path)
        if plan is not None:
            return open_engine(plan, **how.engine)
        tried = "no engine of this file is built, --provider tensorrt builds one"
    except EdgeError as error:
        tried = str(error).rstrip(".")
    return _open_as_it_is(path, "auto", how, f"not TensorRT: {tried}")


def _source_of(plan: Path) -> Path:
    """The ONNX file an engine was built of, which must lie beside it."""
    from effvit_edge.core.files import sha256_file
    from effvit_edge.runtime.sidecar import read_sidecar

    try:
        sidecar = read_sidecar(plan)
    except InputError:  # the reason to rebuild, perhaps
        onnx, digest = plan.with_suffix(".onnx"), None
    else:
        onnx, digest = plan.with_name(sidecar.onnx_name), sidecar.onnx_sha256
    if not onnx.is_file():
        raise InputError(
            f"{plan} cannot be built anew: its ONNX file {onnx.name} is not beside it. Copy it "
            "there, or give that file instead of the engine."
        )
    if digest is not None and sha256_file(onnx) != digest:
        raise InputError(
            f"{plan} was built of another file than the {onnx.name} beside it. Give the ONNX file "
            "that you mean instead of the engine."
        )
    return onnx


def _build(onnx: Path, output: Path | None = None, *, rebuild: bool = False) -> Path:
    """An engine of a file, found or built; what is new of it is told on standard error."""
    from effvit_edge.cli.building import build_with_progress, engine_lines, note_lines

    report = build_with_progress(onnx, output, rebuild=rebuild)
    for line in engine_lines(report) if report.built else note_lines(report):
        click.echo(line, err=True)
    return report.path
