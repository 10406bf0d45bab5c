from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from effvit_edge.bench import doctor
from effvit_edge.bench.doctor import Row
from effvit_edge.cli.doctor import command
from effvit_edge.cli.main import main

ROWS = [
    Row("board", "fine", "NVIDIA Jetson Orin Nano Developer Kit"),
    Row("power mode", "warning", "25W; the fastest is MAXN_SUPER", "sudo nvpmodel -m 2"),
]
MISSING = Row("OpenCV", "missing", "not installed", "pip install -e '.[video]'")


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """What the doctor finds."""
    found = list(ROWS)
    monkeypatch.setattr(doctor, "gather", lambda: None)
    monkeypatch.setattr(doctor, "examine", lambda facts: found)
    return found


def test_rows_stand_with_their_remedies(examined: list[Row]) -> None:
    result = CliRunner().invoke(command, [], standalone_mode=False)
    lines = result.output.splitlines()
    assert lines[0] == "  ✓  board       NVIDIA Jetson Orin Nano Developer Kit"
    assert lines[1] == "  !  power mode  25W; the fastest is MAXN_SUPER"
    assert lines[2] == "                 → sudo nvpmodel -m 2"
    assert lines[-1] == "Ready, 1 warning."
    assert result.return_value == 0


def test_what_is_missing_ends_with_3(examined: list[Row]) -> None:
    examined.append(MISSING)
    result = CliRunner().invoke(command, [], standalone_mode=False)
    assert result.output.splitlines()[-1] == "Not ready: 1 missing, 1 warning."
    assert result.return_value == 3


def test_json_holds_every_row(examined: list[Row]) -> None:
    examined.append(MISSING)
    result = CliRunner().invoke(command, ["--json"], standalone_mode=False)
    report = json.loads(result.output)
    assert report["rows"][-1] == {
        "topic": "OpenCV",
        "status": "missing",
        "found": "not installed",
        "remedy": "pip install -e '.[video]'",
    }
    assert result.return_value == 3


def test_long_findings_are_wrapped_and_remedies_are_not(
    examined: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    remedy = "sudo " + "x" * 90
    examined[:] = [Row("cameras", "warning", "word " * 30, remedy)]
    lines = CliRunner().invoke(command, [], standalone_mode=False).output.splitlines()
    assert all(len(line) <= 60 for line in lines if "word" in line)
    assert any(remedy in line for line in lines)


def test_the_command_runs_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert "Ready" in capsys.readouterr().out


def test_in_a_deleted_folder_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(["doctor"]) == 3
    found = capsys.readouterr().out
    assert "the current folder has been deleted" in found and "→ cd ~" in found
    assert "Not ready: " in found
