"""Where engines lie, and the power mode that is recorded with them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from effvit_edge.engine.cache import engines_folder, place_for, user_folder
from effvit_edge.engine.power import power_mode


def test_engines_lie_where_they_are_named_or_here_or_with_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EFFVIT_ENGINES", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert engines_folder() == user_folder() == tmp_path / "cache" / "effvit-edge" / "engines"
    (tmp_path / "engines").mkdir()
    assert engines_folder() == Path("engines")
    monkeypatch.setenv("EFFVIT_ENGINES", str(tmp_path / "named"))
    assert engines_folder() == tmp_path / "named"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_folder() == tmp_path / ".cache" / "effvit-edge" / "engines"


def test_looking_whether_a_folder_can_be_written_leaves_no_trace(tmp_path: Path) -> None:
    wanted = tmp_path / "new" / "m.plan"
    assert place_for(wanted) == (wanted, "")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_no_reason_to_write_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        place_for(tmp_path / "file" / "m.plan")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("printf 'NV Power Mode: MAXN_SUPER\\n2\\n'", "MAXN_SUPER"),
        ("printf 'NV Fan Mode:quiet\\nNV Power Mode: 15W\\n0\\n'", "15W"),
        ("echo no permission >&2; exit 1", None),
    ],
    ids=["super", "with a fan", "refused"],
)
def test_the_power_mode_is_told_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, expected: str | None
) -> None:
    tool = tmp_path / "nvpmodel"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    assert power_mode() == expected


def test_machines_without_power_modes_have_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert power_mode() is None
