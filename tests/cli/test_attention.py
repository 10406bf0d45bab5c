"""``--attention auto`` says what it takes, and why."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from effvit_edge.cli.attention import choose_attention
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


def test_native_needs_no_words() -> None:
    assert choose_attention("native") == ("native", "")


@pytest.mark.parametrize("report", [BUILT, MISSING])
def test_plugin_is_taken_wherever_the_file_will_run(report: PluginReport) -> None:
    form, said = choose_attention("plugin", report=report)
    assert form == "plugin"
    assert ("not built here" in said) == (report is MISSING)


def test_auto_without_the_plugin_tells_how_to_build_it() -> None:
    form, said = choose_attention("auto", report=MISSING, machine=HERE)
    assert form == "native" and "make plugin" in said


@pytest.mark.parametrize(("plugin_ms", "expected"), [(4.0, "plugin"), (5.0, "native")])
def test_auto_follows_the_measurement_on_this_very_machine(
    plugin_ms: float, expected: str, engines: Path
) -> None:
    other = dataclasses.replace(HERE, tensorrt="10.16.0")
    record = Measured("efficientvit3d_b1, stream, fp16", native_ms=5.0, plugin_ms=plugin_ms)
    write_measured(measured_path(engines, HERE, BUILT.sources), record)

    form, said = choose_attention("auto", report=BUILT, machine=HERE)
    assert form == expected and f"{plugin_ms:.2f} ms with the plugin" in said
    form, said = choose_attention("auto", report=BUILT, machine=other)
    assert form == "native" and "was not measured on Orin" in said


def test_a_damaged_record_is_named(engines: Path) -> None:
    path = measured_path(engines, HERE, BUILT.sources)
    path.write_text('{"network": 3}')
    with pytest.raises(InputError, match="is no record of a measurement"):
        choose_attention("auto", report=BUILT, machine=HERE)
