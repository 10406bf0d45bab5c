"""The model a command was given becomes a session: as it is, or as an engine found or built."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effvit_edge import engine
from effvit_edge.cli import session as cli_session
from effvit_edge.cli.building import build_with_progress, engine_lines
from effvit_edge.cli.main import main
from effvit_edge.cli.session import open_model
from effvit_edge.core.comparison import Comparison
from effvit_edge.core.errors import EnvironmentFault, GateFailure, InputError
from effvit_edge.core.files import sha256_file
from effvit_edge.core.limits import LIMITS
from effvit_edge.engine import BuildReport
from effvit_edge.engine.check import Checked
from effvit_edge.runtime.sidecar import sidecar_path
from effvit_edge.runtime.tuning import Tuning
from tests.engines import make_sidecar, open_fake, write_engine
from tests.tiny_models import SIDE, tiny_card, write_model
from tests.videos import write_video


class Engines:
    """Instead of building and opening: what was asked for."""

    def __init__(self, plan: Path) -> None:
        self.plan = plan
        self.built: list[tuple[Path, Path | None, bool]] = []
        self.opened: list[Path] = []
        self.found: Path | None = None
        self.error: Exception | None = None

    def build(
        self, onnx: Path, output: Path | None, options: Any, *, rebuild: bool, **others: Any
    ) -> BuildReport:
        self.built.append((onnx, output, rebuild))
        for percent in (0, 50):
            others["progress"]("Building engine", percent)
        comparison = Comparison(1e-3, 1e-4, 0.99999, 1.0, 8)
        sidecar = make_sidecar(self.plan.read_bytes())
        sidecar_path(self.plan).write_text(sidecar.to_json())
        return BuildReport(
            self.plan, sidecar, True, Checked(comparison, 10.0), LIMITS["fp32"], ("A note.",)
        )

    def open(self, path: Path, *, device: int, tuning: Tuning) -> Any:
        assert device == 0
        self.opened.append(path)
        return open_fake(self.plan, tuning=tuning)

    def find(self, onnx: Path) -> Path | None:
        if self.error is not None:
            raise self.error
        return self.found


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engines:
    """As on a machine that has TensorRT."""
    made = Engines(write_engine(tmp_path))
    monkeypatch.setattr(engine, "build_engine", made.build)
    monkeypatch.setattr(engine, "open_engine", made.open)
    monkeypatch.setattr(engine, "find_engine", made.find)
    installed = {"tensorrt", "onnxruntime"}
    monkeypatch.setattr(cli_session, "find_spec", lambda name: name if name in installed else None)
    return made


def test_tensorrt_builds_an_engine_of_an_onnx_file_first(
    tmp_path: Path, engines: Engines, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx = tmp_path / "m.onnx"
    with open_model(onnx, "tensorrt") as session:
        assert session.provider_report.startswith("TensorRT 10.3.0")
    assert engines.built == [(onnx, None, False)]
    assert engines.opened == [engines.plan]
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0] == "Building an engine of m.onnx for this device"
    assert "built in 2 s" in err
    assert "same label 100.0%" in err
    assert "A note." in err


def test_an_engine_from_the_cache_is_tested_with_the_file_beside_its_onnx_file(
    tmp_path: Path, engines: Engines
) -> None:
    onnx = write_model(tmp_path / "named.onnx", tiny_card("stream"))
    clips = np.full((1, 2, SIDE, SIDE, 3), 200, np.uint8)
    np.savez(tmp_path / "named.verify.npz", clips=clips, logits=np.ones((1, 2, 3), np.float32))
    with pytest.raises(GateFailure, match=r"named\.onnx answers otherwise.*by TensorRT 10\.3\.0"):
        open_model(onnx, "tensorrt")
    open_model(onnx, "tensorrt", self_test=False).close()


def test_an_engine_runs_as_it_is(engines: Engines) -> None:
    for provider in ("auto", "tensorrt"):
        open_model(engines.plan, provider).close()
    assert engines.built == []
    assert engines.opened == [engines.plan] * 2


def test_auto_takes_an_engine_that_is_built(tmp_path: Path, engines: Engines) -> None:
    engines.found = engines.plan
    with open_model(tmp_path / "m.onnx") as session:
        assert session.provider_report.startswith("TensorRT")
    assert engines.built == []


def test_auto_builds_nothing_unasked_and_says_so(tmp_path: Path, engines: Engines) -> None:
    with open_model(tmp_path / "m.onnx") as session:
        report = session.provider_report
    assert "ONNX Runtime" in report
    assert "not TensorRT: no engine of this file is built, --provider tensorrt builds one" in report
    assert engines.built == []


def test_auto_tells_why_tensorrt_does_not_work(tmp_path: Path, engines: Engines) -> None:
    engines.error = EnvironmentFault("CUDA finds no device on this machine.")
    with open_model(tmp_path / "m.onnx") as session:
        assert "(not TensorRT: CUDA finds no device on this machine)" in session.provider_report


def test_auto_builds_where_nothing_else_runs(
    tmp_path: Path, engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_session, "find_spec", lambda name: name == "tensorrt" or None)
    open_model(tmp_path / "m.onnx").close()
    assert engines.built == [(tmp_path / "m.onnx", None, False)]


def test_without_tensorrt_auto_is_onnx_runtime(tmp_path: Path) -> None:
    onnx = write_model(tmp_path / "m.onnx", tiny_card("stream"))
    with open_model(onnx) as session:
        assert "TensorRT" not in session.provider_report


def test_rebuilding_takes_the_onnx_file_beside_the_engine(tmp_path: Path, engines: Engines) -> None:
    onnx = tmp_path / "m.onnx"
    sidecar = make_sidecar(engines.plan.read_bytes(), onnx_sha256=sha256_file(onnx))
    sidecar_path(engines.plan).write_text(sidecar.to_json())
    open_model(engines.plan, rebuild=True).close()
    assert engines.built == [(onnx, engines.plan, True)]
    sidecar_path(engines.plan).write_text("broken")
    open_model(engines.plan, rebuild=True).close()
    assert engines.built[1:] == [(onnx, engines.plan, True)]
    open_model(onnx, rebuild=True).close()
    assert engines.built[2:] == [(onnx, None, True)]


def test_rebuilding_of_nothing_or_of_another_file_is_refused(
    tmp_path: Path, engines: Engines
) -> None:
    with pytest.raises(InputError, match=r"of another file than the m\.onnx beside it"):
        open_model(engines.plan, rebuild=True)
    (tmp_path / "m.onnx").unlink()
    with pytest.raises(InputError, match=r"its ONNX file m\.onnx is not beside it"):
        open_model(engines.plan, rebuild=True)
    onnx = write_model(tmp_path / "m.onnx", tiny_card("stream"))
    with pytest.raises(InputError, match="--rebuild is for TensorRT engines"):
        open_model(onnx, "cpu", rebuild=True)
    with pytest.raises(InputError, match="which cpu does not run"):
        open_model(engines.plan, "cpu")
    with pytest.raises(InputError, match="There is no model at"):
        open_model(tmp_path / "absent.onnx", "tensorrt")


def test_a_terminal_sees_a_bar(
    tmp_path: Path, engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert build_with_progress(tmp_path / "m.onnx").path == engines.plan


def test_an_engine_that_was_found_tells_when_it_was_built() -> None:
    report = BuildReport(Path("m.plan"), make_sidecar(b""), False, None, LIMITS["fp32"], ("So.",))
    assert engine_lines(report) == [
        "  engine m.plan, 0.0 MB, built of the same inputs on 2026-11-20T12:00:00+00:00",
        "  note   So.",
    ]


def test_label_runs_an_engine(
    tmp_path: Path, engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [np.full((SIDE, SIDE, 3), 240, np.uint8)] * 12
    film = write_video(tmp_path / "film.mp4", frames)
    monkeypatch.chdir(tmp_path)
    arguments = ["label", str(film), "--model", "m.onnx", "--provider", "tensorrt", "--no-video"]
    assert main([*arguments, "--jsonl", "out.jsonl"]) == 0
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert records[-1]["label"] == "light"
    assert engines.built == [(Path("m.onnx"), None, False)]


def test_eval_builds_an_engine_anew_when_asked(
    tmp_path: Path,
    engines: Engines,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for label, brightness in (("dark", 10), ("light", 240)):
        (tmp_path / "clips" / label).mkdir(parents=True)
        frames = [np.full((SIDE * 4, SIDE * 4, 3), brightness, np.uint8)] * 12
        write_video(tmp_path / "clips" / label / "film.mp4", frames)
    assert main(["eval", "m.onnx", "--data", "clips", "--rebuild", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["top1"] == 1.0
    assert engines.built == [(Path("m.onnx"), None, True)]
    assert main(["eval", "clips", "--data", "clips", "--rebuild"]) == 2
    assert "--rebuild is for engines" in capsys.readouterr().err


def test_without_tensorrt_asking_for_it_is_an_environment_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    onnx = write_model(tmp_path / "m.onnx", tiny_card("stream"))
    with pytest.raises(EnvironmentFault, match="TensorRT itself comes with JetPack") as caught:
        open_model(onnx, "tensorrt")
    assert caught.value.exit_code == 3
    assert "Building" not in capsys.readouterr().err


FEW = ["--count", "12", "--warm-up", "0", "--picture", "96x72"]


def test_bench_splits_an_engines_time_and_shows_its_switches(
    engines: Engines, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(engines.plan), *FEW, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    stages = ["preprocess", "h2d", "infer", "d2h", "host", "post"]
    assert list(found["stages"]) == stages
    # The fake device takes 1 ms for each piece, whatever the host's clock says.
    assert [found["stages"][name]["mean"] for name in ("h2d", "infer", "d2h")] == [1, 1, 1]
    assert found["settings"]["split_by"] == "device events"
    assert found["settings"]["switches"]["cuda_graph"] == "yes"
    assert found["layers"] == []

    assert main(["bench", str(engines.plan), *FEW, "--no-cuda-graph", "--wait", "block"]) == 0
    shown = capsys.readouterr().out
    switches = "CUDA graph: no, switched off; waiting: blocks; copies: of memory that is never"
    assert switches in shown and "h2d" in shown and "d2h" in shown


def test_bench_profiles_an_engines_layers_in_a_run_of_their_own(
    tmp_path: Path, engines: Engines, capsys: pytest.CaptureFixture[str]
) -> None:
    page, plan = tmp_path / "r.html", engines.plan
    assert main(["bench", str(plan), *FEW, "-o", str(page)]) == 0
    assert engines.opened == [plan, plan]
    assert "/layers/Conv + /layers/Relu" in page.read_text("utf-8")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["Conv", "+", "Relu", "0.750", "75%", "1"] in rows
    assert ["Gemm", "0.250", "25%", "1"] in rows
    engines.opened.clear()
    assert main(["bench", str(plan), *FEW, "-o", str(page), "--no-profile"]) == 0
    assert engines.opened == [plan]
    assert "time goes" not in page.read_text("utf-8")
