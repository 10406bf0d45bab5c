"""Building an engine while showing how it goes, and telling of it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from effvit_edge.cli.export_text import Account, accuracy_lines, gate_parts, prose, row
from effvit_edge.runtime.trt_library import product

if TYPE_CHECKING:
    from effvit_edge.core.comparison import Accuracy
    from effvit_edge.engine import BuildReport, EngineOptions
    from effvit_edge.engine.process import Progress
    from effvit_edge.engine.target import Machine
    from effvit_edge.runtime import Session


def build_with_progress(
    onnx: Path,
    output: Path | None = None,
    options: EngineOptions | None = None,
    *,
    rebuild: bool = False,
    limits: Mapping[str, float | None] | None = None,
    machine: Machine | None = None,
    judge: Callable[[Session], None] | None = None,
) -> BuildReport:
    """Find or build an engine, showing how it goes on standard error.

    Args:
        onnx: the file to build of.
        output: ``NAME.plan``; by default a place in the cache.
        options: of the builder.
        rebuild: build although there is one.
        limits: of the gate to change, by name.
        machine: this one, if it was looked at already.
        judge: see ``engine.build_engine``.

    Raises:
        EdgeError: see ``engine.build_engine``.
    """
    from effvit_edge.engine import build_engine

    with _progress(onnx.name) as progress:
        return build_engine(
            onnx,
            output,
            options,
            rebuild=rebuild,
            limits=limits,
            progress=progress,
            look=None if machine is None else lambda: machine,
            judge=judge,
        )


def engine_lines(report: BuildReport) -> list[str]:
    """What was built and how close it is, for people."""
    sidecar = report.sidecar
    size = f"{sidecar.plan_bytes / 1e6:.1f} MB"
    how = f"built in {sidecar.build_seconds:.0f} s"
    if not report.built:
        how = f"built of the same inputs on {sidecar.built_at}"
    lines = row("engine", f"{report.path}, {size}, {how}")
    checked = report.checked
    if checked is not None:
        gate = checked.comparison
        against = f"{gate.answers} answers on the clips beside the ONNX file, against float32:"
        lines += row("gate", against, *gate_parts(gate, checked.relative, report.limits))
    return [*lines, *note_lines(report)]


def note_lines(report: BuildReport) -> list[str]:
    """What is otherwise than asked for."""
    return [line for note in report.notes for line in prose("note", note)]


def engine_account(report: BuildReport, accuracy: Accuracy | None = None) -> Account:
    """Of a step that ends with an engine.

    Args:
        report: of the build.
        accuracy: of the ONNX file and the engine, where they were compared.
    """
    sidecar, checked = report.sidecar, report.checked
    device = sidecar.device
    where = "any device that it supports" if device is None else device.name
    figures = None
    if checked is not None:
        limits = dataclasses.asdict(report.limits)
        compared = dataclasses.asdict(checked.comparison)
        figures = {**compared, "relative": checked.relative, "limits": limits}
    record = {
        "path": str(report.path),
        "built": report.built,
        "bytes": sidecar.plan_bytes,
        "build_seconds": sidecar.build_seconds,
        "tensorrt": sidecar.tensorrt,
        "device": None if device is None else dataclasses.asdict(device),
        "notes": list(report.notes),
        "gate": figures,
        "accuracy": None if accuracy is None else dataclasses.asdict(accuracy),
        "card": dataclasses.asdict(sidecar.card),
    }
    title = f"Engine for {where}, {product(sidecar.flavour)} {sidecar.tensorrt}"
    lines = engine_lines(report)
    if accuracy is not None:
        lines += accuracy_lines(accuracy, report.limits.drop)
    return Account(title, lines, record)


@contextmanager
def _progress(name: str) -> Iterator[Progress]:
    """A bar on a terminal, one line elsewhere; nothing for an engine that is found."""
    if not sys.stderr.isatty():
        yield _telling_once(f"Building an engine of {name} for this device")
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"engine of {name}", total=100)
        yield lambda phase, percent: bar.update(
            task, completed=percent, description=f"engine of {name}: {phase}"
        )


def _telling_once(line: str) -> Progress:
    told = False

    def tell(phase: str, percent: int) -> None:
        nonlocal told
        if not told:
            click.echo(line, err=True)
        told = True

    return tell
