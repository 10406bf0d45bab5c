"""Where engines lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from effvit_edge.engine.cache import engines_folder, place_for, user_folder


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
