from __future__ import annotations

import dataclasses
import errno
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from effvit_edge.bench import layers
from effvit_edge.bench.result import Result, read_result
from effvit_edge.bench.work import LabelWork, rendered_pictures
from effvit_edge.cli.main import main
from effvit_edge.core.errors import EdgeError
from effvit_edge.sinks import VideoSink
from tests.conftest import REPOSITORY
from tests.unit.bench.results import SETTINGS, result

DEMO = str(REPOSITORY / "models" / "demo.onnx")
FEW = ["--count", "12", "--warm-up", "0", "--picture", "96x72", "--provider", "cpu"]


def test_a_model_is_measured_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "r.json"
    assert main(["bench", DEMO, *FEW, "-o", str(output)]) == 0
    shown = capsys.readouterr()
    assert "preprocess" in shown.out and "labels a second" in shown.out
    assert "95 % sure" in shown.out and "label latency" in shown.out
    assert read_result(output).count == 12
    assert str(output) in shown.err


def test_json_on_standard_output_is_json_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", DEMO, *FEW, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["count"] == 12 and found["artifact"]["name"] == "demo.onnx"


def test_several_models_make_a_table_and_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "both.html"
    assert main(["bench", DEMO, DEMO, *FEW, "--markdown", "-o", str(page)]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 4 and all(row.startswith("|") for row in rows)
    assert page.read_text("utf-8").count("<polyline") == 2


def test_streams_in_turn_have_a_label_each(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--scenario", "multi-stream", "--streams", "3", "--json"]
    assert main(["bench", DEMO, *FEW, *options]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["settings"]["streams"] == 3
    assert found["labels_per_second"] == pytest.approx(3 * 12 / found["seconds"])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "Missing argument"),
        (["none.onnx"], 2, "no model at none.onnx"),
        ([DEMO, "--count", "0"], 2, "--count"),
        ([DEMO, "--streams", "2"], 2, "belongs to multi-stream"),
        ([DEMO, "--mlperf", "--duration", "3"], 2, "600 s"),
        ([DEMO, "--picture", "large"], 2, "WIDTHxHEIGHT"),
        ([DEMO, "--picture", "²x3"], 2, "WIDTHxHEIGHT"),
        ([DEMO, "--picture", "90000x90000"], 2, "WIDTHxHEIGHT"),
        ([DEMO, "--threads", "100000"], 2, "--threads"),
        ([DEMO, "--duration", "nan"], 2, "not finite"),
        ([DEMO, "--warm-up", "inf"], 2, "not finite"),
        ([DEMO, "--mlperf", "--scenario", "offline"], 2, "single-stream"),
        (["--estimate", "orin-nano", DEMO, "-o", "e.json"], 2, "writes no file"),
        (["compare", "one.json", "two.json", "--estimate", "orin-nano"], 2, "none of the options"),
        (["compare", "one.json", "two.json", "-o", "one.json"], 2, "must end in .html"),
        (["compare", "one.json", "two.json", "-o", "none/c.html"], 2, "no folder"),
        ([DEMO, "--video", "none.mp4"], 2, "none.mp4"),
        ([DEMO, "--video", DEMO], 2, "demo.onnx"),
        ([DEMO, "--video", "a.mp4", "--scenario", "offline"], 2, "single-stream"),
        (["--estimate", "pocket-calculator", DEMO], 2, "orin-nano"),
        (["--estimate", "orin-nano", "none.onnx"], 2, "none.onnx"),
        (["compare", "one.json"], 2, "two results or more"),
        (["compare", "one.json", "two.json"], 2, "Cannot read one.json"),
        (["compare", DEMO, DEMO], 2, "no JSON"),
    ],
)
def test_bad_input_is_told_in_a_sentence(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *arguments]) == code
    assert words in capsys.readouterr().err


def test_a_bad_model_does_not_lose_the_results_before_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "r.json"
    assert main(["bench", DEMO, "none.onnx", *FEW, "-o", str(output)]) == 2
    shown = capsys.readouterr()
    assert "no model at none.onnx" in shown.err and "labels a second" in shown.out
    assert read_result(tmp_path / "r-demo.json").count == 12


def test_models_of_one_name_have_a_file_each(tmp_path: Path) -> None:
    other = tmp_path / "demo-2.onnx"
    other.write_bytes(Path(DEMO).read_bytes())
    assert main(["bench", DEMO, str(other), DEMO, *FEW, "-o", str(tmp_path / "r.json")]) == 0
    found = [read_result(path).artifact.name for path in sorted(tmp_path.glob("r-*.json"))]
    assert found == ["demo-2.onnx", "demo.onnx", "demo.onnx"]


@pytest.mark.parametrize("kind", ["folder", "device"])
def test_what_is_no_file_is_refused_before_measuring(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "r.json"
    output.mkdir() if kind == "folder" else output.symlink_to("/dev/null")
    assert main(["bench", DEMO, *FEW, "-o", str(output)]) == 2
    shown = capsys.readouterr()
    assert "it is no file" in shown.err and shown.out == ""


def test_a_full_disk_is_told_with_the_files_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(self: Result, path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Result, "write", full)
    for form, words in ([], "labels a second"), (["--json"], '"count": 12'):
        assert main(["bench", DEMO, *FEW, *form, "-o", str(tmp_path / "r.json")]) == 1
        shown = capsys.readouterr()
        assert "r.json could not be written: no space left on device" in shown.err
        assert words in shown.out


def test_a_reader_that_has_gone_does_not_lose_the_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "effvit_edge", "bench", DEMO, *FEW, "--json"]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        subprocess.run(
            [*command, "-o", str(tmp_path / "r.json")], stdout=gone, cwd=REPOSITORY, check=False
        )
    assert read_result(tmp_path / "r.json").count == 12


@pytest.mark.parametrize(
    "signals", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGINT, signal.SIGINT]], ids=str
)
def test_a_real_run_that_is_stopped_keeps_its_figures(
    tmp_path: Path, signals: list[signal.Signals]
) -> None:
    """Two at once is what a terminal and a container send together."""
    output = tmp_path / "r.json"
    options = ["--duration", "600", "--warm-up", "0", "--provider", "cpu", "-o", str(output)]
    process = subprocess.Popen(
        [sys.executable, "-m", "effvit_edge", "bench", DEMO, *options],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    try:
        _wait_until_it_has_worked(process.pid, seconds=6)
        for number in signals:
            process.send_signal(number)
            time.sleep(0.04)
        shown, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "interrupted: these are the figures until then" in shown
    assert read_result(output).interrupted


def _wait_until_it_has_worked(pid: int, seconds: float) -> None:
    """Of the processor's time, so that a busy machine makes no difference."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK") >= seconds:
            return
        time.sleep(0.05)
    raise AssertionError("it does not work")


def test_ctrl_c_keeps_what_there_is_and_marks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real, calls = LabelWork.__call__, itertools.count()

    def interrupted(self: LabelWork) -> tuple[float, ...]:
        if next(calls) == 1000:
            signal.raise_signal(signal.SIGINT)
        return real(self)

    monkeypatch.setattr(LabelWork, "__call__", interrupted)
    output, options = tmp_path / "r.json", ["--duration", "600", *FEW[2:]]
    assert main(["bench", DEMO, DEMO, *options, "-o", str(output)]) == 130
    assert "interrupted: these are the figures until then" in capsys.readouterr().out
    found = read_result(tmp_path / "r-demo.json")
    assert found.interrupted and 0 < found.count < 1000


@pytest.mark.parametrize(
    ("failure", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted before layers were timed"),
        (EdgeError("The device is out of memory."), 0, "could not be timed: The device is out of"),
    ],
)
def test_a_failed_profile_does_not_lose_the_result(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    failure: BaseException,
    code: int,
    words: str,
) -> None:
    def fail(session: object) -> None:
        raise failure

    monkeypatch.setattr(layers, "profile_layers", fail)
    output = tmp_path / "r.json"
    assert main(["bench", DEMO, *FEW, "--profile", "-o", str(output)]) == code
    assert words in capsys.readouterr().out
    found = read_result(output)
    assert found.count == 12 and found.layers == ()


def test_a_result_that_could_not_be_kept_is_refused_before_measuring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, words in (("r.txt", ".json"), ("none/r.json", "none")):
        assert main(["bench", DEMO, *FEW, "-o", str(tmp_path / name)]) == 2
        told = capsys.readouterr()
        assert words in told.err and "p50" not in told.out


def test_a_video_is_read_one_frame_at_a_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten frames at the model's rate, begun anew until fifteen were labelled."""
    film = tmp_path / "film.mp4"
    sink = VideoSink(film, 30)
    for number, picture in enumerate(rendered_pictures(72, 96, 20)):
        sink.write(picture, number / 30)
    sink.close(complete=True)
    assert main(["bench", DEMO, *FEW, "--count", "15", "--video", str(film), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert list(found["stages"]) == ["decode", "preprocess", "infer", "post"]
    assert (found["count"], found["settings"]["video"]) == (15, "film.mp4")
    assert found["stages"]["decode"]["least"] > 0


def test_a_preset_is_exported_first(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")  # absent where only the runtime is installed
    options = ["--input-size", "32", "--mode", "clip", "--json"]
    assert main(["bench", "efficientvit3d_b0", *FEW, *options]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["artifact"]["mode"], found["artifact"]["width"]) == ("clip", 32)
    assert main(["bench", "efficientvit3d_b9", *FEW]) == 2
    assert "efficientvit3d_b9" in capsys.readouterr().err


def test_an_estimate_says_that_it_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--estimate", "orin-nano", DEMO]) == 0
    shown = capsys.readouterr().out
    assert "an estimate: fitted to published times" in shown and "about" in shown
    assert main(["bench", "--estimate", "orin-nano", DEMO, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["estimate_ms"] > 0 and found["note"].startswith("an estimate")


def test_results_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times = np.random.default_rng(0).normal(10, 0.1, size=2000)
    result(times).write(tmp_path / "a.json")
    result(2.5 * times).write(tmp_path / "b.json")
    result(1.01 * times).write(tmp_path / "c.json")
    names = [str(tmp_path / f"{name}.json") for name in "abc"]
    page = tmp_path / "c.html"
    assert main(["bench", "compare", *names, "-o", str(page)]) == 0
    _, twice, same, *_ = capsys.readouterr().out.splitlines()
    assert "2.500 times the first" in twice and "noise" not in twice
    assert "within the noise" in same
    assert page.exists()
    assert main(["bench", "compare", *names, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["exceeds_noise"] for row in told["results"]] == [False, True, False]
    assert told["results"][1]["times_the_first"] == pytest.approx(2.5)
    assert main(["bench", "compare", *names, "--markdown"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2 + 3


def test_what_was_printed_as_json_is_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", DEMO, *FEW, "--json"]) == 0
    (tmp_path / "r.json").write_text(capsys.readouterr().out)
    assert main(["bench", "compare", str(tmp_path / "r.json"), str(tmp_path / "r.json")]) == 0
    assert "1.000 times the first, within the noise" in capsys.readouterr().out


def test_the_page_of_a_comparison_tells_its_lines_apart(tmp_path: Path) -> None:
    result(tainted=("gpu was <throttled>",)).write(tmp_path / "one.json")
    result(notes=("interrupted: these are the figures until then",), interrupted=True).write(
        tmp_path / "two.json"
    )
    names, page = [str(tmp_path / f"{name}.json") for name in ("one", "two")], tmp_path / "c.html"
    assert main(["bench", "compare", *names, "-o", str(page)]) == 0
    text = page.read_text("utf-8")
    assert "one: Tainted: gpu was &lt;throttled&gt;" in text and "two: interrupted" in text
    assert ">one</td>" in text and ">two</td>" in text


def test_decoding_is_a_difference_that_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = dataclasses.replace(SETTINGS, video="a.mp4", picture_height=None, picture_width=None)
    result().write(tmp_path / "one.json")
    result(settings=video).write(tmp_path / "two.json")
    names = [str(tmp_path / f"{name}.json") for name in ("one", "two")]
    assert main(["bench", "compare", *names]) == 0
    assert "1280×720, rendered, frames of a.mp4, decoded" in capsys.readouterr().err


def test_results_of_other_scenarios_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    offline = SETTINGS.__class__(**{**SETTINGS.__dict__, "scenario": "offline"})
    result().write(tmp_path / "a.json")
    result(settings=offline).write(tmp_path / "b.json")
    names = [str(tmp_path / f"{name}.json") for name in "ab"]
    assert main(["bench", "compare", *names]) == 2
    assert "same scenario" in capsys.readouterr().err
