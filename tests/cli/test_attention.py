"""``--attention auto`` says what it takes, and why."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from effvit_edge.cli.attention import Choice, choose_attention
from effvit_edge.core.errors import InputError
from effvit_edge.engine.plugin.find import PluginReport
from effvit_edge.engine.plugin.measured import Measured, measured_path, write_measured
from effvit_edge.engine.target import Machine
from effvit_edge.runtime.trt_fake import ORIN_NANO

BUILT = PluginReport(plugin=Path("plugin.so"), library=None, cubins=None, sources="abc")
MISSING = PluginReport(plugin=None, library=None, cubins=None, sources="abc")
HERE = Machine("tensorrt", "10.3.0", ORIN_NANO, "Linux aarch64")


@pytest.fixture(autouse=True)
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EFFVIT_ENGINES", str(tmp_path))
    return tmp_path


def record(plugin_ms: float) -> Measured:
    return Measured("efficientvit3d_b1", "0" * 64, "Orin", "10.3.0", 200, 5.0, plugin_ms)


def test_native_needs_no_words() -> None:
    assert choose_attention("native") == Choice("native", "")


@pytest.mark.parametrize("report", [BUILT, MISSING])
def test_plugin_is_taken_wherever_the_file_will_run(report: PluginReport) -> None:
    choice = choose_attention("plugin", report=report)
    assert choice.form == "plugin"
    assert ("not built here" in choice.why) == (report is MISSING)


def test_auto_without_the_plugin_tells_how_to_build_it() -> None:
    choice = choose_attention("auto", report=MISSING, machine=HERE)
    assert choice.form == "native" and "make plugin" in choice.why


@pytest.mark.parametrize(("plugin_ms", "expected"), [(4.0, "plugin"), (5.0, "native")])
def test_auto_follows_the_measurement_on_this_very_machine(
    plugin_ms: float, expected: str, engines: Path
) -> None:
    other = dataclasses.replace(HERE, tensorrt="10.16.0")
    write_measured(measured_path(engines, HERE, BUILT.sources), record(plugin_ms))

    choice = choose_attention("auto", report=BUILT, machine=HERE)
    assert choice.form == expected and f"{plugin_ms:.2f} ms with the plugin" in choice.why
    assert f"a ratio of {plugin_ms / 5:.2f}" in choice.why
    choice = choose_attention("auto", report=BUILT, machine=other)
    assert choice.form == "native"
    assert "was not measured on Orin" in choice.why and "--attention measure" in choice.why


def test_a_damaged_record_is_named(engines: Path) -> None:
    path = measured_path(engines, HERE, BUILT.sources)
    path.write_text('{"network": 3}')
    with pytest.raises(InputError, match=r"is no record of a measurement.*--attention measure"):
        choose_attention("auto", report=BUILT, machine=HERE)
