"""``effvit-edge export --attention``: which form of the attention is exported, and why."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from effvit_edge.cli.export_text import Account, prose, row
from effvit_edge.core.card import Precision
from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.core.limits import graph_limits
from effvit_edge.engine.cache import engines_folder
from effvit_edge.engine.plugin.find import PluginReport, look_for_plugin
from effvit_edge.engine.plugin.measure import Build, Open, measure
from effvit_edge.engine.plugin.measured import (
    Measured,
    measured_path,
    read_measured,
    write_measured,
)
from effvit_edge.engine.target import Machine, look_at_machine

if TYPE_CHECKING:
    from effvit_edge.cli.export_plan import Network
    from effvit_edge.engine import BuildReport

Form = Literal["native", "plugin"]
FORMS: tuple[Form, ...] = ("native", "plugin")
CHOICES = (*FORMS, "auto", "measure")
_WORDS = {
    "native": "plain operators",
    "plugin": "one operator, which only TensorRT with the plugin runs",
}


@dataclass(frozen=True)
class Choice:
    """The form that is exported."""

    form: Form
    why: str
    """A sentence; empty for the default."""

    @property
    def account(self) -> Account:
        """What there is to say."""
        lines = [*row("form", _WORDS[self.form]), *prose("why", self.why)]
        return Account("Attention", lines, {"attention": self.form, "why": self.why})


def choose_attention(
    asked: str,
    *,
    report: PluginReport | None = None,
    machine: Machine | None = None,
) -> Choice:
    """What was asked for, or, for ``auto``, what a recorded measurement says.

    Args:
        asked: one of ``CHOICES`` but ``measure``.
        report: of the plugin here, instead of looking for it.
        machine: this one, instead of looking at it.

    Raises:
        InputError: the record of the measurement cannot be read.
    """
    if asked == "native":
        return Choice("native", "")
    report = report or look_for_plugin()
    if asked == "plugin":
        here = "it is built here" if report.available else "it is not built here"
        return Choice("plugin", f"This was asked for; {here}.")
    if not report.available:
        return Choice("native", report.reason)
    try:
        machine = machine or look_at_machine("tensorrt")
    except EnvironmentFault as error:
        return Choice("native", str(error))
    path = measured_path(engines_folder(), machine, report.sources)
    measured = read_measured(path)
    if measured is None:
        return Choice(
            "native",
            f"The plugin was not measured on {machine.device} with {machine.builder}; --attention "
            "measure does it.",
        )
    return _as_measured(measured, path)


def measure_attention(
    network: Network,
    precision: Precision,
    machine: Machine,
    *,
    report: PluginReport | None = None,
    build: Build | None = None,
    open_engine: Open | None = None,
) -> Choice:
    """Time an engine of each form of a network, and keep which is faster for ``auto``.

    INT8 is measured in FP16, which its attention is in.

    Args:
        network: to be exported.
        precision: of its graph.
        machine: with TensorRT and a device.
        report: of the plugin here, instead of looking for it.
        build: builds an engine; TensorRT by default.
        open_engine: loads it.

    Raises:
        GateFailure: a graph or an engine answers otherwise than the network.
        EdgeError: an engine cannot be built or run.
    """
    from effvit_edge import engine

    report = report or look_for_plugin()
    click.echo(
        f"Measuring the attention plugin on {machine.device}: an engine of each form", err=True
    )
    with tempfile.TemporaryDirectory() as folder:
        native, plugin = (_write(network, form, precision, Path(folder)) for form in FORMS)
        measured = measure(
            native,
            plugin,
            machine,
            build=build or _build,
            open_engine=open_engine or engine.open_engine,
        )
    path = measured_path(engines_folder(), machine, report.sources)
    write_measured(path, measured)
    return _as_measured(measured, path)


def _as_measured(measured: Measured, path: Path) -> Choice:
    figures = (
        f"{measured.plugin_ms:.2f} ms with the plugin, {measured.native_ms:.2f} ms without (a "
        f"ratio of {measured.ratio:.2f}), {measured.network}; measured on {measured.device}, "
        f"TensorRT {measured.tensorrt}, kept in {path}."
    )
    return Choice("plugin" if measured.faster else "native", figures)


def _write(network: Network, form: Form, precision: Precision, folder: Path) -> Path:
    """A graph of the network with what its engine is held to, both gates included."""
    from effvit_edge.export import export_graph, export_onnx
    from effvit_edge.export.convert import as_parent, convert
    from effvit_edge.export.samples import render_samples

    path = folder / f"{form}.onnx"
    if precision == "fp32":
        export_onnx(network.model, network.card, path, mode=network.mode, attention=form)
        return path
    exported = export_graph(network.model, network.card, mode=network.mode, attention=form)
    parent = as_parent(exported.model, form)
    frames = 2 * parent.card.num_frames
    convert(
        parent,
        path,
        precision="fp16",
        limits=graph_limits("fp16", {}),
        footage=render_samples(parent.card, frames if network.mode == "stream" else frames // 2),
        follow=frames,
    )
    return path


def _build(onnx: Path) -> BuildReport:
    from effvit_edge.cli.building import build_with_progress

    return build_with_progress(onnx, onnx.with_suffix(".plan"))
