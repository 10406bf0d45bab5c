"""``label --web`` in a real browser: the demo model on rendered motion whose truth is known."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from effvit_edge.core.errors import INTERRUPTED
from effvit_edge.sources.synthetic import MotionFilm
from tests.browser import NAMES, browser
from tests.conftest import REPOSITORY
from tests.needed import program

_FPS, _SIDE, _SEED = 15, 128, 4
_SOURCE = f"synthetic://motion?size={_SIDE}x{_SIDE}&fps={_FPS}&seed={_SEED}&paced=1"
_IS_SHOWN = "document.getElementById('screen').dataset.empty === 'false'"
# Those that have ended: the label, and when it began, as in 1:02.3.
_EVENTS = """[...document.querySelectorAll("#events li:not(.going)")].map((row) =>
    [row.querySelector(".what").textContent, row.querySelector(".when").textContent])"""
_PIXEL_SUM = """(() => {
    const canvas = Object.assign(document.createElement("canvas"), {width: 64, height: 64});
    const context = canvas.getContext("2d");
    context.drawImage(document.getElementById("picture"), 0, 0, 64, 64);
    return context.getImageData(0, 0, 64, 64).data.reduce((sum, v, i) => (sum * 31 + v) % 1e9, 7);
})()"""


@contextmanager
def _run(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The page's address, and the command that serves it."""
    model, jsonl = REPOSITORY / "models" / "demo.onnx", folder / "labels.jsonl"
    command = [
        sys.executable, "-m", "effvit_edge", "label", _SOURCE, "--web", "0", "--no-video",
        "--model", str(model), "--jsonl", str(jsonl),
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        try:
            assert process.stderr is not None
            said = []
            for line in process.stderr:
                said.append(line)
                if line.startswith("page: "):
                    break
            assert said and said[-1].startswith("page: "), said
            yield said[-1].removeprefix("page: ").strip(), process
        finally:
            process.kill()


def _began(text: str) -> float:
    minutes, seconds = text.split(":")
    return 60 * int(minutes) + float(seconds)


@pytest.mark.timeout(300)
def test_the_page_shows_what_moves_and_how(tmp_path: Path) -> None:
    path = program(*NAMES, package="chromium")
    film = MotionFilm(_SIDE, _SIDE, _FPS, _SEED)
    with _run(tmp_path) as (url, process), browser(path, tmp_path) as chromium:
        page, other = chromium.open(url), chromium.open(url)
        for one in (page, other):
            one.wait(_IS_SHOWN, seconds=120)
            shown = one.run(_PIXEL_SUM)
            one.wait(f"{_PIXEL_SUM} !== {shown}")
        told = page.wait(f"{_EVENTS}.length >= 3 && {_EVENTS}", seconds=120)
        page.screenshot(tmp_path / "run.png")
        process.send_signal(signal.SIGINT)
        page.wait("!document.getElementById('notice').hidden")
        assert process.wait(120) == INTERRUPTED
    # A second after each began, well within what the film shows then.
    truth = [film.label(round((_began(when) + 1) * _FPS)) for _, when in told]
    right = sum(label == shown for (label, _), shown in zip(told, truth, strict=True))
    assert right >= len(told) - 1, (told, truth)
