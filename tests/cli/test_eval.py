from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from effvit_edge.cli.main import main
from tests.tiny_models import tiny_card, write_model


@pytest.mark.parametrize("data", ["motion", "clips"])
def test_a_filter_without_a_csv_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data: str
) -> None:
    monkeypatch.chdir(tmp_path)
    model = write_model(tmp_path / "m.onnx", tiny_card("stream"))
    assert main(["eval", str(model), "--data", data, "--where", "split=test"]) == 2
    assert f"--where chooses rows of a CSV file, and {data} is none" in capsys.readouterr().err


def test_motion_is_refused_for_a_model_that_is_not_square(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    square = tiny_card("stream")
    wide = replace(square, preprocess=replace(square.preprocess, width=16))
    monkeypatch.setattr("effvit_edge.runtime.onnxrt.check_graph", lambda *_: ())
    model = write_model(tmp_path / "m.onnx", wide)
    assert main(["eval", str(model), "--data", "motion"]) == 2
    assert "rendered square, and the model takes 8x16" in capsys.readouterr().err
