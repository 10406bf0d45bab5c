"""``effvit-edge export --attention``: which form of the attention is exported, and why."""

from __future__ import annotations

from typing import Literal

from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.engine.cache import engines_folder
from effvit_edge.engine.plugin.find import PluginReport, look_for_plugin
from effvit_edge.engine.plugin.measured import measured_path, read_measured
from effvit_edge.engine.target import Machine, look_at_machine

CHOICES = ("native", "plugin", "auto")
_NATIVE = "  attention plain operators"
_PLUGIN = "  attention one operator, which only TensorRT with the plugin runs"


def choose_attention(
    asked: str,
    *,
    report: PluginReport | None = None,
    machine: Machine | None = None,
) -> tuple[Literal["native", "plugin"], str]:
    """The form, and a line that says so; empty for the default.

    Args:
        asked: one of ``CHOICES``.
        report: of the plugin here, instead of looking for it.
        machine: this one, instead of looking at it.
    """
    if asked == "native":
        return "native", ""
    report = report or look_for_plugin()
    if asked == "plugin":
        return "plugin", _PLUGIN if report.available else f"{_PLUGIN}; it is not built here"
    if not report.available:
        return "native", f"{_NATIVE}: {report.reason}"
    try:
        machine = machine or look_at_machine("tensorrt")
    except EnvironmentFault as error:
        return "native", f"{_NATIVE}: {error}"
    path = measured_path(engines_folder(), machine, report.sources)
    measured = read_measured(path)
    if measured is None:
        return "native", f"{_NATIVE}: the plugin was not measured on {machine.device} ({path})."
    figures = (
        f"{measured.plugin_ms:.2f} ms with the plugin, {measured.native_ms:.2f} ms without, "
        f"{measured.network}."
    )
    if measured.faster:
        return "plugin", f"{_PLUGIN}: {figures}"
    return "native", f"{_NATIVE}: {figures}"
