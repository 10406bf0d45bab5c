from __future__ import annotations

import json
from pathlib import Path

import pytest

from effvit_edge.cli.main import main

Capture = pytest.CaptureFixture[str]
DEMO = str(Path(__file__).parents[2] / "models" / "demo.onnx")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--precision", "int8"], "INT8 needs --calibrate"),
        (["--precision", "fp16", "--calibrate", "motion"], "--calibrate is for --precision int8"),
        (["--verify", "motion"], "are for --precision fp16 and int8"),
        (["--limit-cosine", "0.9"], "are for --precision fp16 and int8"),
        ([], "is exported already"),
        (["--precision", "fp16", "--mode", "clip"], "keeps its mode"),
        (["--precision", "fp16", "--input-size", "64"], "keeps its mode"),
        (["--precision", "int8", "--calibrate", "nowhere"], "nowhere"),
    ],
)
def test_wrong_use_is_exit_2(
    options: list[str], said: str, tmp_path: Path, capsys: Capture
) -> None:
    assert main(["export", DEMO, *options, "-o", str(tmp_path / "m.onnx")]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_file_itself_is_not_overwritten(tmp_path: Path, capsys: Capture) -> None:
    copy = tmp_path / "m.onnx"
    copy.write_bytes(Path(DEMO).read_bytes())
    assert main(["export", str(copy), "--precision", "fp16", "-o", str(copy)]) == 2
    assert "is the file that is converted" in capsys.readouterr().err
    assert copy.read_bytes() == Path(DEMO).read_bytes()


def test_a_failed_gate_is_exit_4_and_leaves_nothing(tmp_path: Path, capsys: Capture) -> None:
    arguments = ["--precision", "fp16", "--limit-relative", "0"]
    assert main(["export", DEMO, *arguments, "-o", str(tmp_path / "m.onnx")]) == 4
    error = capsys.readouterr().err
    assert "Most is added by" in error and "Nothing was written" in error
    assert list(tmp_path.iterdir()) == []


def test_the_report_has_every_figure(tmp_path: Path, capsys: Capture) -> None:
    output = tmp_path / "m.onnx"
    assert main(["export", DEMO, "--precision", "fp16", "-o", str(output), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["gate"]["drift_frames"] >= 1000
    assert report["gate"]["limits"]["relative"] == 0.03
    assert report["card"]["precision"] == "fp16" and report["excluded"] == []
    assert report["attention"]["precision"] == "fp16"
    assert 0 < report["attention"]["reach"] < 0.25
    assert Path(report["verify_path"]).is_file()
