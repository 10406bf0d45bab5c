from __future__ import annotations

import sys
from pathlib import Path

import pytest

from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.core.optional import require


def test_an_installed_library_is_imported() -> None:
    assert require("json.decoder", "video") is sys.modules["json.decoder"]


def test_an_absent_library_comes_with_its_install_line() -> None:
    with pytest.raises(EnvironmentFault) as caught:
        require("no_such_library", "mqtt")
    assert "needs no_such_library, which is not installed" in str(caught.value)
    assert "pip install -e '.[mqtt]'" in str(caught.value)


def test_an_absent_opencv_names_the_one_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(EnvironmentFault, match="python3-opencv"):
        require("cv2", "video")


@pytest.mark.parametrize(
    "source", ["raise ImportError('libGL.so.1: cannot open')", "import no_such_part"]
)
def test_a_library_that_does_not_load_is_not_called_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    (tmp_path / "broken_library.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EnvironmentFault, match=r"installed but does not load: .*(libGL|such_part)"):
        require("broken_library", "video")
