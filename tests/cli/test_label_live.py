"""``label`` with several sources, events, live views, and everything that ends a run."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effvit_edge.cli.main import main
from tests.conftest import REPOSITORY
from tests.tiny_models import tiny_card, write_model
from tests.videos import decoded, grey_frames, stated_times, write_video

FPS = 25
Label = Callable[..., tuple[int, str, str]]


@pytest.fixture
def label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Label:
    """Run ``effvit-edge label`` with a small model at the videos' rate, in a folder of its own."""
    model = write_model(tmp_path / "model.onnx", tiny_card("stream", FPS))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main(["label", *map(str, arguments), "--model", str(model)])
        out, err = capfd.readouterr()
        return code, out, err

    return run


def day(path: Path, levels: list[tuple[int, int]]) -> Path:
    """A video of grey levels, each for a number of frames: dark, light and dark again."""
    path.parent.mkdir(exist_ok=True)
    greys = [grey for grey, count in levels for _ in range(count)]
    return write_video(path, [np.full((64, 96, 3), grey, np.uint8) for grey in greys])


def records(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]


def events(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_several_sources_are_labelled_with_a_state_each(label: Label) -> None:
    names = [
        str(write_video(Path(f"{name}.mp4"), grey_frames(8 + n))) for n, name in enumerate("abc")
    ]
    code, out, _ = label(*names)
    assert code == 0
    assert out.startswith("3 sources, 27 frames, 27 labels, ")
    for name, count in zip(names, (8, 9, 10), strict=True):
        mine = [record for record in records("sources.labels.jsonl") if record["source"] == name]
        assert [record["frame"] for record in mine] == list(range(count))
        assert [record["window_fill"] for record in mine[:5]] == [0.25, 0.5, 0.75, 1, 1]
        assert len(stated_times(Path("sources.labelled") / name)) == count


def test_files_of_the_same_name_keep_apart(label: Label) -> None:
    for folder in ("x", "y"):
        Path(folder).mkdir()
        write_video(Path(folder) / "a.mp4", grey_frames(4))
    assert label("x", "y", "--json")[0] == 0
    sources = {record["source"] for record in records("sources.labels.jsonl")}
    assert sources == {"x/a.mp4", "y/a.mp4"}
    assert Path("sources.labelled/x/a.mp4").is_file()
    assert Path("sources.labelled/y/a.mp4").is_file()


def test_one_bad_source_of_several_is_told_and_the_others_labelled(label: Label) -> None:
    write_video(Path("a.mp4"), grey_frames(4))
    code, out, err = label("a.mp4", "absent.mp4", "--no-video")
    assert (code, "1 of 2 sources failed" in out) == (1, True)
    assert "failed: " in err
    assert "absent.mp4" in err


def test_events_are_a_table_with_a_clip_each_and_told_in_the_records(label: Label) -> None:
    day(Path("day.mp4"), [(20, 25), (230, 50), (20, 25)])
    code, out, _ = label(
        "day.mp4", "--events", "e.csv", "--save-events", "clips", "--smoothing", "none",
        "--min-duration", 0.2, "--before", 0.4, "--after", 0.2,
    )  # fmt: skip
    assert code == 0
    assert ", 3 events, " in out
    table = events("e.csv")
    assert [line["label"] for line in table] == ["dark", "light", "dark"]
    assert list(table[0]) == ["id", "source", "label", "score", "start_s", "end_s"]
    first, second, third = [(float(line["start_s"]), float(line["end_s"])) for line in table]
    assert first[0] == pytest.approx(3 / FPS)  # warm after four frames
    assert 1.0 <= first[1] <= second[0] <= 1.2
    assert 3.0 <= second[1] <= third[0] <= 3.2
    assert third[1] == pytest.approx(99 / FPS)
    lines = records("day.labels.jsonl")
    assert all("event" in line for line in lines)
    assert lines[0]["event"] is None
    assert lines[60]["event"]["label"] == "light"
    assert lines[60]["event"]["since_s"] == pytest.approx(second[0])
    clip = Path("clips/day-0002-light.mp4")
    assert clip.is_file()
    with decoded(clip) as (_, frames):
        times = [float(frame.time) for frame in frames]
        greys = [frame.to_ndarray(format="rgb24").mean() for frame in frames]
    assert times[0] == 0
    assert times[-1] == pytest.approx(second[1] - second[0] + 0.6, abs=0.05)
    assert greys[0] < 60 < 180 < greys[len(greys) // 2]  # the seconds before it are dark
    assert greys[-1] < 60


def test_a_threshold_alone_puts_events_into_the_records(label: Label) -> None:
    write_video(Path("a.mp4"), grey_frames(6))
    assert label("a.mp4", "--no-video", "--threshold", 0.99)[0] == 0
    assert {str(line["event"]) for line in records("a.labels.jsonl")} == {"None"}
    assert label("a.mp4", "--no-video")[0] == 0
    assert not any("event" in line for line in records("a.labels.jsonl"))


def test_a_region_is_what_the_model_sees_and_is_drawn(label: Label) -> None:
    picture = np.zeros((128, 256, 3), np.uint8)
    picture[:, 128:] = 255
    write_video(Path("half.mp4"), [picture] * 6)
    assert label("half.mp4", "--roi", "0.5,0,0.5,1")[0] == 0
    assert records("half.labels.jsonl")[-1]["label"] == "light"
    with decoded(Path("half.labelled.mp4")) as (_, frames):
        image = frames[3].to_ndarray(format="rgb24").astype(int)
    border, inside = image[40, 126:131], image[40, 140:250]
    assert np.ptp(border) > 50
    assert inside.min() > 230
    assert label("half.mp4", "--no-video", "--roi", "0,0,128,128")[0] == 0
    assert records("half.labels.jsonl")[-1]["label"] == "dark"


def test_a_rendered_film_that_ends_is_labelled_like_a_file(label: Label) -> None:
    code, out, _ = label("synthetic://motion?seconds=1&size=64", "--json")
    summary = json.loads(out)
    assert (code, summary["frames"]) == (0, 30)
    (source,) = summary["sources"]
    assert (source["source"], source["state"], source["live"]) == (
        "synthetic-motion",
        "ended",
        False,
    )
    assert Path("synthetic-motion.labelled.mp4").is_file()


def test_the_page_and_the_records_tell_the_same(
    label: Label, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's address is asked while the run goes on, from the thread that writes records."""
    from effvit_edge.sinks.web import WebSink

    write_video(Path("a.mp4"), grey_frames(40))
    seen: list[int] = []
    real = WebSink.label

    def look(self: WebSink, record: Any) -> None:
        real(self, record)
        if not seen:
            with urllib.request.urlopen(self.url, timeout=10) as answer:
                seen.append(answer.status)

    monkeypatch.setattr(WebSink, "label", look)
    code, _, err = label("a.mp4", "--no-video", "--web", "0")
    assert (code, seen) == (0, [200])
    assert "page: http://127.0.0.1:" in err
    assert all("event" in line for line in records("a.labels.jsonl"))


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--window"], 3, "No window can be opened: there is no display"),
        (["--web", "nonsense"], 2, "nonsense"),
        (["--mqtt", "http://x"], 2, "mqtt"),
        (["--events", "a.mp4"], 2, "is a CSV file, and a.mp4 ends otherwise"),
        (["--save-events", "a.mp4"], 3, "a.mp4 is not a folder"),
    ],
)
def test_views_and_files_that_cannot_be_are_told_before_any_work(
    label: Label,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    told: str,
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    write_video(Path("a.mp4"), grey_frames(4))
    done, out, err = label("a.mp4", *arguments)
    assert (done, out) == (code, "")
    assert told in err
    assert not list(Path().glob("*.jsonl"))


class Process:
    """``effvit-edge label`` in a process of its own, until a signal ends it."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        model = write_model(folder / "model.onnx", tiny_card("stream", FPS))
        command = [sys.executable, "-m", "effvit_edge.cli.main", "label", "--model", str(model)]
        self.folder = folder
        self.process = subprocess.Popen(
            [*command, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for_records(self, name: str, count: int) -> None:
        path = self.folder / name
        while not path.exists() or path.read_bytes().count(b"\n") < count:
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.01)

    def end(self, number: int) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_live_source_is_ended_by_a_signal_and_its_files_are_complete(
    tmp_path: Path, number: int
) -> None:
    run = Process(
        tmp_path, "synthetic://motion?paced=1&size=64", "--video", "a.mp4", "--events", "e.csv",
        "--jsonl", "a.jsonl",
    )  # fmt: skip
    run.wait_for_records("a.partial.jsonl", 10)
    code, out, err = run.end(number)
    assert code == 130
    assert "partial" not in out + err
    assert len(stated_times(tmp_path / "a.mp4")) > 0
    assert len(records(str(tmp_path / "a.jsonl"))) >= 10
    assert (tmp_path / "e.csv").is_file()


def test_a_live_source_writes_no_video_unasked(tmp_path: Path) -> None:
    run = Process(tmp_path, "synthetic://motion?paced=1&size=64")
    run.wait_for_records("synthetic-motion.labels.partial.jsonl", 5)
    code, out, _ = run.end(signal.SIGINT)
    assert code == 130
    assert "labels" in out
    assert not list(tmp_path.glob("**/*.mp4"))
