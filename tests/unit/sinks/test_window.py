"""The window, over a stand-in for OpenCV's: the tests have no display."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.sinks import WindowSink, why_no_window


class FakeGui:
    """The part of ``cv2`` that has to do with windows."""

    WINDOW_NORMAL, WINDOW_KEEPRATIO, WINDOW_GUI_NORMAL, WND_PROP_VISIBLE = 0, 0, 16, 4

    class error(Exception):
        pass

    def __init__(self, toolkit: str = "GTK3") -> None:
        self.toolkit = toolkit
        self.windows: dict[str, Any] = {}
        self.key = -1

    def getBuildInformation(self) -> str:
        return f"General configuration\n  GUI:                           {self.toolkit}\n"

    def namedWindow(self, name: str, flags: int) -> None:
        self.windows[name] = None

    def resizeWindow(self, name: str, width: int, height: int) -> None:
        assert name in self.windows

    def imshow(self, name: str, image: np.ndarray) -> None:
        assert name in self.windows
        self.windows[name] = image

    def waitKey(self, milliseconds: int) -> int:
        return self.key

    def getWindowProperty(self, name: str, what: int) -> float:
        return 1.0 if name in self.windows else -1.0

    def destroyWindow(self, name: str) -> None:
        del self.windows[name]


@pytest.fixture
def gui(monkeypatch: pytest.MonkeyPatch) -> FakeGui:
    monkeypatch.setenv("DISPLAY", ":9")
    return FakeGui()


def red() -> np.ndarray:
    image = np.zeros((2, 3, 3), np.uint8)
    image[..., 0] = 255
    return image


def test_the_newest_picture_of_each_source_is_shown_in_its_own_window(gui: FakeGui) -> None:
    window = WindowSink(gui)
    window.show("a", np.zeros((2, 3, 3), np.uint8))
    window.show("a", red())
    window.show("b", red())
    assert gui.windows == {}  # only the thread that pumps may touch them
    assert window.pump() is False
    assert set(gui.windows) == {"a", "b"}
    assert gui.windows["a"][0, 0].tolist() == [0, 0, 255]  # OpenCV takes BGR


@pytest.mark.parametrize(
    ("key", "ends"), [(27, True), (ord("q"), True), (ord("x"), False), (-1, False)]
)
def test_escape_and_q_end(gui: FakeGui, key: int, ends: bool) -> None:
    window = WindowSink(gui)
    window.show("a", red())
    gui.key = key
    assert window.pump() is ends


def test_a_window_that_someone_closes_ends(gui: FakeGui) -> None:
    window = WindowSink(gui)
    window.show("a", red())
    assert window.pump() is False
    gui.windows.clear()
    assert window.pump() is True
    window.close()


def test_a_source_that_ended_takes_its_window_along(gui: FakeGui) -> None:
    window = WindowSink(gui)
    window.show("a", red())
    window.pump()
    window.forget("a")
    assert window.pump() is False
    assert gui.windows == {}
    window.close()
    window.close()


def test_a_display_that_goes_away_is_told(gui: FakeGui, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str, image: np.ndarray) -> None:
        raise FakeGui.error("OpenCV\ncannot connect")

    monkeypatch.setattr(gui, "imshow", gone)
    window = WindowSink(gui)
    window.show("a", red())
    with pytest.raises(EnvironmentFault, match="cannot be shown: cannot connect"):
        window.pump()


def test_without_a_display_or_windows_it_is_said_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert why_no_window(FakeGui()) == "there is no display (DISPLAY is not set)"
    monkeypatch.setenv("DISPLAY", ":9")
    assert why_no_window(FakeGui()) is None
    assert "headless" in str(why_no_window(FakeGui("NONE")))
    with pytest.raises(EnvironmentFault, match="Leave --window out"):
        WindowSink(FakeGui("NONE"))
