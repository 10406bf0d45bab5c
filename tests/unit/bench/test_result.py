from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effvit_edge.bench.compare import differences, ratios
from effvit_edge.bench.comparison_page import write_comparison
from effvit_edge.bench.html import write_report
from effvit_edge.bench.layers import by_kind
from effvit_edge.bench.markdown import COLUMNS, header, lines, row
from effvit_edge.bench.result import Sensor, read_result, to_json
from effvit_edge.bench.speed import Speed
from effvit_edge.core.errors import InputError
from effvit_edge.runtime.tuning import LayerTime
from tests.unit.bench.results import JETSON, SETTINGS, SWITCHES, result

CALM = np.random.default_rng(1).normal(10, 0.1, size=2000)


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = result()
    written.write(tmp_path / "r.json")
    assert read_result(tmp_path / "r.json") == written


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 9}, "schema version 9"),
        ({"schema_version": None}, "schema version None"),
        ({"count": "many"}, "count: expected a whole number"),
        ({"kount": 3}, "Did you mean 'count'"),
        ({"device": {"kind": "x86"}}, "device.model is missing"),
    ],
)
def test_what_is_no_result_is_refused(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps({**to_json(result()), **change}))
    with pytest.raises(InputError, match=words):
        read_result(path)


@pytest.mark.parametrize("content", ["", "[1]", "{", "\0\1"])
def test_other_files_are_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(InputError, match=r"r\.json"):
        read_result(tmp_path / "r.json")
    with pytest.raises(InputError, match="Cannot read"):
        read_result(tmp_path / "none.json")


def test_only_a_jetson_is_called_one() -> None:
    assert "not a Jetson" in result().device.title
    assert result(device=JETSON).device.title == (
        "NVIDIA Jetson Orin Nano Developer Kit, JetPack 6.2, 25W"
    )


def test_label_latency_counts_from_the_windows_first_frame() -> None:
    found = result(np.full(100, 10.0))
    assert found.label_latency == pytest.approx(200 + 10)
    assert "210.0 ms = 200.0 of the window's first to last frame + 10.0" in "\n".join(lines(found))


def test_energy_is_told_by_label_and_not_by_query() -> None:
    streams = SETTINGS.__class__(**{**SETTINGS.__dict__, "streams": 4})
    found = result(np.full(100, 10.0), settings=streams)
    assert found.joules_per_label == {"VDD_IN": 100 / 400}


def test_a_rows_cells_are_its_headings() -> None:
    tainted = result(tainted=("cpu was throttled",))
    assert row(tainted).count("|") == header().splitlines()[0].count("|") == len(COLUMNS) + 1
    assert "(tainted)" in row(tainted) and "tainted" not in row(result())


def test_twice_as_long_is_a_real_difference() -> None:
    ratio = ratios(result(CALM), result(2 * CALM))[0]
    assert ratio.value == pytest.approx(2) and ratio.real
    assert ratios(result(2 * CALM), result(CALM))[0].real


def test_two_percent_more_is_noise_however_sure() -> None:
    ratio = ratios(result(CALM), result(1.02 * CALM))[0]
    assert ratio.low is not None and ratio.low > 1.01
    assert not ratio.real


def test_few_values_tell_nothing() -> None:
    assert not ratios(result(CALM[:4]), result(2 * CALM[:4]))[0].real


def test_other_scenarios_are_not_compared() -> None:
    offline = SETTINGS.__class__(**{**SETTINGS.__dict__, "scenario": "offline"})
    with pytest.raises(InputError, match=r"single-stream and .* offline"):
        ratios(result(), result(settings=offline))


def test_what_else_differs_is_told() -> None:
    assert differences([result(), result()]) == []
    (found,) = differences([result(), result(device=JETSON)])
    assert found.startswith("device: ") and "Orin" in found
    (found,) = differences([result(), result(speed=Speed(0.57, 0.80))])
    assert found == "the machine's own speed: memory 0.65 and 0.80 ms for the same work"


def test_a_report_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    write_report(result(tainted=("gpu was <throttled>",)), tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "gpu was &lt;throttled&gt;" in page
    assert page.count("<svg") == 4  # histogram, percentiles, over time, power
    assert "<script" not in page and "src=" not in page and "@import" not in page
    assert page.replace("http://www.w3.org/2000/svg", "").count("http") == 0


@pytest.mark.parametrize("times", [np.full(3, 5.0), np.array([1.0]), np.array([1e-9, 1e-9])])
def test_a_report_of_hardly_anything_is_written(times: np.ndarray, tmp_path: Path) -> None:
    write_report(result(times, seconds=0.1, labels_per_second=1.0), tmp_path / "r.html")
    assert "nan" not in (tmp_path / "r.html").read_text("utf-8")


def test_a_comparison_shows_every_result(tmp_path: Path) -> None:
    write_comparison([result(CALM), result(3 * CALM)], tmp_path / "c.html")
    page = (tmp_path / "c.html").read_text("utf-8")
    assert page.count("<polyline") == 2 and "3.000" in page


def test_no_part_of_the_energy_is_counted_twice() -> None:
    board = {"VDD_IN": 10.0, "VDD_CPU_GPU_CV": 4.0, "VDD_SOC": 2.0}
    assert result(np.full(100, 10.0), energy_joules=board).whole_joules_per_label == ("VDD_IN", 0.1)
    rails = {"VDD_GPU_SOC": 6.0, "VDD_CPU_CV": 2.0}  # of a board whose input is not measured
    assert result(np.full(100, 10.0), energy_joules=rails).whole_joules_per_label == (
        "VDD_GPU_SOC + VDD_CPU_CV",
        pytest.approx(0.08),
    )
    assert result(energy_joules={}).whole_joules_per_label is None
    assert "| 100.00 |" in row(result(np.full(100, 10.0), energy_joules=board))


def test_memory_power_and_clocks_stand_beside_the_figures() -> None:
    sensors = (
        Sensor("memory_mb.rss", 190.0, 180.0, 205.0, ()),
        Sensor("memory_mb.peak", 250.0, 240.0, 261.0, ()),
        Sensor("power_w.VDD_IN", 5.0, 4.0, 6.0, ()),
        Sensor("temperature_c.cpu-thermal", 50.0, 49.0, 52.0, ()),
        Sensor("temperature_c.gpu-thermal", 55.0, 54.0, 58.0, ()),
        Sensor("clock_mhz.gpu", 600.0, 305.0, 625.0, ()),
    )
    shown = "\n".join(lines(result(sensors=sensors)))
    assert "memory of the process  205 MB, 261 at its peak with loading" in shown
    assert "power                  4 to 6 W (the highest: VDD_IN)" in shown
    assert "49 to 58 °C (the highest: gpu-thermal)" in shown
    assert "305 to 625 MHz (the highest: gpu)" in shown
    assert str(SWITCHES) in shown and str(SWITCHES) in row(result())


def test_layers_are_summed_by_kind(tmp_path: Path) -> None:
    layers = (
        LayerTime("/a/Conv", "Conv", 2.0),
        LayerTime("/a/<Add>", "Add", 1.0),
        LayerTime("/b/Conv", "Conv", 3.0),
        LayerTime("/b/Cast", "Cast", 0.0),
    )
    found = result(layers=layers)
    assert by_kind(layers) == {"Conv": 5.0, "Add": 1.0, "Cast": 0.0}
    shown = [line.split() for line in lines(found)]
    assert ["Conv", "5.000", "83%", "2"] in shown and ["Add", "1.000", "17%", "1"] in shown
    write_report(found, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "4 layers in a run of their own" in page and "/a/&lt;Add&gt;" in page
    found.write(tmp_path / "r.json")
    assert read_result(tmp_path / "r.json").layers == layers
