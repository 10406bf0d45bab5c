from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effvit_edge.cli.label_outputs import video_names
from effvit_edge.cli.main import main
from effvit_edge.core.video import Picture, VideoReader
from tests.tiny_models import tiny_card, write_model
from tests.videos import decoded, grey_frames, stated_times, write_bad_inputs, write_video

MODEL_FPS = 12.5
Label = Callable[..., tuple[int, str, str]]


@pytest.fixture
def label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Label:
    """Run ``effvit-edge label`` with a small model, in a folder of its own."""
    model = write_model(tmp_path / "model.onnx", tiny_card("stream", MODEL_FPS))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main(["label", *map(str, arguments), "--model", str(model)])
        out, err = capfd.readouterr()
        return code, out, err

    return run


def names() -> list[str]:
    """What the command left in the current folder."""
    return sorted(path.as_posix() for path in Path().rglob("*") if path.is_file())


def read_records(path: Path | str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]


def test_a_file_gives_records_and_a_video_beside_the_current_folder(
    label: Label, tmp_path: Path
) -> None:
    clip = write_video(tmp_path / "clip.mkv", grey_frames(30))
    code, out, err = label(clip)
    assert code == 0
    assert names() == ["clip.labelled.mp4", "clip.labels.jsonl"]
    records = read_records("clip.labels.jsonl")
    assert [record["frame"] for record in records] == list(range(0, 30, 2))
    assert {record["source"] for record in records} == {str(clip)}
    assert [record["label"] for record in records[:3]] == ["dark"] * 3
    assert records[3]["window_fill"] == 1
    assert ["warming_up" in record for record in records[:5]] == [True, True, True, False, False]
    assert out.startswith("30 frames, 15 labels, ")
    assert out.splitlines()[1:] == ["labels  clip.labels.jsonl", "video   clip.labelled.mp4"]
    assert "on the CPU" in err


def test_progress_is_shown_on_a_terminal_only(
    label: Label, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_video(tmp_path / "clip.mp4", grey_frames(30))
    assert "━" not in label(clip)[2]
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes standard error for a terminal
    err = label(clip)[2]
    assert "clip.mp4" in err
    assert "━" in err  # the bar; how far it comes is a matter of the machine


@pytest.mark.parametrize(
    "times",
    [[i * 0.04 for i in range(12)], [8.333, 8.4, 8.5, 9.1, 9.12, 9.9]],
    ids=["steady", "variable"],
)
def test_the_annotated_video_has_the_sources_times(
    label: Label, tmp_path: Path, times: list[float]
) -> None:
    clip = write_video(tmp_path / "clip.mp4", grey_frames(len(times), (130, 132)), times)
    assert label(clip)[0] == 0
    assert stated_times(Path("clip.labelled.mp4")) == pytest.approx(stated_times(clip), abs=6e-6)
    with decoded(Path("clip.labelled.mp4")) as (_, frames):
        for index, frame in enumerate(frames):
            image = frame.to_ndarray(format="rgb24").astype(int)
            np.testing.assert_allclose(image[:40, 66:], 16 * index, atol=8)
            assert np.ptp(image[60:, :66]) > 80


def test_real_variable_frame_rate_is_kept(label: Label, test_data: Path) -> None:
    clip = test_data / "odd_videos" / "made" / "vfr.mp4"
    assert label(clip)[0] == 0
    assert stated_times(Path("vfr.labelled.mp4")) == pytest.approx(stated_times(clip), abs=6e-6)


def test_one_of_a_kind_is_not_many(label: Label, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", grey_frames(1))
    assert label(clip)[1].startswith("1 frame, 1 label, ")


def test_that_cuda_is_not_built_in_is_told_to_those_who_asked(
    label: Label, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    available = lambda: ["CPUExecutionProvider"]  # noqa: E731
    monkeypatch.setattr("onnxruntime.get_available_providers", available)
    clip = write_video(tmp_path / "clip.mp4", grey_frames(1))
    _, out, err = label(clip, "--json")
    assert "on the CPU" in err
    assert "CUDA" not in err
    assert "(not CUDA: this ONNX Runtime is built without it)" in json.loads(out)["provider"]
    assert "(not CUDA: " in label(clip, "--provider", "auto")[2]


def test_a_cuda_that_is_built_in_and_does_not_start_is_always_told(
    label: Label, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: both)
    monkeypatch.setattr(
        "effvit_edge.runtime.onnxrt._start_cuda", lambda *_: (None, "it does not start here")
    )
    clip = write_video(tmp_path / "clip.mp4", grey_frames(1))
    assert "(not CUDA: it does not start here)" in label(clip)[2]


def test_outputs_can_be_named_and_left_out(label: Label, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", grey_frames(4))
    assert label(clip, "--jsonl", "x/a.jsonl", "--video", "y/b.mp4")[0] == 0
    assert names() == ["x/a.jsonl", "y/b.mp4"]
    assert label(clip, "--jsonl", "x/a.jsonl", "--no-video", "--stride", 2, "--topk", 1)[0] == 0
    assert [len(record["topk"]) for record in read_records("x/a.jsonl")] == [1]


def test_records_on_standard_output_are_alone_there(label: Label, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", grey_frames(6))
    code, out, err = label(clip, "--jsonl", "-", "--no-video")
    assert (code, names()) == (0, [])
    assert [json.loads(line)["frame"] for line in out.splitlines()] == [0, 2, 4]
    assert "6 frames, 3 labels" in err


def test_the_summary_as_json(label: Label, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", grey_frames(6))
    code, out, _ = label(clip, "--json", "--provider", "cpu", "--threads", 1)
    summary = json.loads(out)
    assert code == 0
    assert summary["provider"].endswith("on the CPU, 1 thread")
    assert {key: summary[key] for key in ("frames", "labels", "lost", "jsonl", "videos")} == {
        "frames": 6,
        "labels": 3,
        "lost": 0,
        "jsonl": "clip.labels.jsonl",
        "videos": ["clip.labelled.mp4"],
    }


def test_a_folder_gives_one_jsonl_and_a_video_each(label: Label, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    (folder / "inner").mkdir(parents=True)
    for name in ("b.mp4", "b.mkv", "inner/a.mp4"):
        write_video(folder / name, grey_frames(4))
    (folder / "notes.txt").touch()
    assert label(folder)[0] == 0
    assert names() == [
        "clips.labelled/b.mkv.mp4",
        "clips.labelled/b.mp4.mp4",
        "clips.labelled/inner/a.mp4",
        "clips.labels.jsonl",
    ]
    records = read_records("clips.labels.jsonl")
    assert [record["source"] for record in records] == [
        *["b.mkv"] * 2,
        *["b.mp4"] * 2,
        *["inner/a.mp4"] * 2,
    ]
    assert [record["window_fill"] for record in records] == [0.25, 0.5] * 3


@pytest.mark.parametrize(
    ("sources", "videos"),
    [
        (["a.mkv", "b.mp4"], ["a.mp4", "b.mp4"]),
        (["a.avi", "a.mkv", "a.mp4", "b.mkv"], ["a.avi.mp4", "a.mkv.mp4", "a.mp4.mp4", "b.mp4"]),
        (["a.mkv", "a.mkv.mp4", "a.mp4"], ["a.mkv.mp4", "a.mkv.mp4.mp4", "a.mp4.mp4"]),
        (["x/a.mkv", "y/a.mp4"], ["x/a.mp4", "y/a.mp4"]),
    ],
)
def test_videos_whose_names_would_collide_keep_their_endings(
    sources: list[str], videos: list[str]
) -> None:
    assert video_names(sources) == videos


def test_a_second_run_over_the_current_folder_skips_its_own_videos(
    label: Label, tmp_path: Path
) -> None:
    write_video(Path("clip.mp4"), grey_frames(4))
    assert label("clip.mp4")[0] == 0
    code, out, _ = label(".", "--no-video", "--json")
    assert (code, [done["source"] for done in json.loads(out)["sources"]]) == (0, ["clip.mp4"])


BAD = (
    "missing", "empty", "truncated", "text", "noise", "no frame", "sound", "encrypted",
)  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_sentence_and_exit_2(label: Label, tmp_path: Path, kind: str) -> None:
    path = write_bad_inputs(tmp_path)[kind]
    code, out, err = label(path)
    assert (code, out, names()) == (2, "", [])
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert str(path) in line
    assert "Unexpected" not in line


def test_a_folder_with_bad_files_labels_the_others_and_exits_1(
    label: Label, tmp_path: Path
) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    write_bad_inputs(folder)
    write_video(folder / "good.mp4", grey_frames(4))
    code, out, err = label(folder)
    assert code == 1
    assert "7 of 8 sources failed" in out
    assert err.count("failed: ") == 7
    assert names() == ["clips.labelled/good.mp4", "clips.labels.jsonl"]
    assert {record["source"] for record in read_records("clips.labels.jsonl")} == {"good.mp4"}


def test_a_folder_of_bad_files_only_is_bad_input(label: Label, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "a.mp4").touch()
    (folder / "b.mp4").write_text("text")
    assert label(folder)[0] == 2
    assert names() == []


def test_lost_frames_are_counted_and_exit_1(label: Label, test_data: Path) -> None:
    code, out, err = label(test_data / "odd_videos" / "made" / "truncated_50pct.mkv", "--no-video")
    assert code == 1
    assert "31 frames" in out
    assert "44 frames lost" in out
    assert "44 frames lost" in err
    assert names() == ["truncated_50pct.labels.jsonl"]


def test_a_picture_of_one_pixel_is_enlarged(label: Label, test_data: Path) -> None:
    assert label(test_data / "odd_videos" / "moviepy" / "bitmap.mp4")[0] == 0
    with decoded(Path("bitmap.labelled.mp4")) as (stream, frames):
        assert (stream.width, stream.height, len(frames)) == (128, 128, 5)


def test_a_change_of_size_goes_on_in_the_first_size(label: Label, tmp_path: Path) -> None:
    joined = tmp_path / "joined.ts"
    for name, hw in (("a.ts", (130, 140)), ("b.ts", (140, 130))):
        part = write_video(tmp_path / name, grey_frames(8, hw))
        with joined.open("ab") as file:
            file.write(part.read_bytes())
    code, _, err = label(joined)
    assert (code, "changes its size" in err) == (0, True)
    with decoded(Path("joined.labelled.mp4")) as (stream, frames):
        assert (stream.width, stream.height, len(frames)) == (140, 130, 16)
    fills = [record["window_fill"] for record in read_records("joined.labels.jsonl")]
    assert fills == [0.25, 0.5, 0.75, 1] * 2


def test_a_source_slower_than_the_model_is_told(label: Label, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "slow.mp4", grey_frames(10), [i * 0.5 for i in range(10)])
    code, _, err = label(clip, "--no-video")
    assert code == 0
    assert "has 2 frames a second and the model was trained at 12.5" in err
    assert len(read_records("slow.labels.jsonl")) == 10


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["clip.mp4", "--video", "a.mkv"], 2, "The annotated video is an MP4 file"),
        (["clip.mp4", "--video", "a.mp4", "--no-video"], 2, "exclude each other"),
        (["clip.mp4", "--jsonl", "-", "--json"], 2, "cannot both have standard output"),
        (
            ["clip.mp4", "--video", "clip.mp4"],
            2,
            "clip.mp4 is a source, and writing clip.mp4 would replace it",
        ),
        (["clip.mp4", "--stride", "0"], 2, "--stride"),
        (["ftp://me:secret@host/1"], 2, "kind 'ftp:' are not known"),
        (["97"], 3, "no camera 97"),
        (["clip.mp4", "clip.mp4"], 2, "clip.mp4 is given twice"),
        (["clip.mp4", "--roi", "0,0,9"], 2, "'0,0,9' is not a rectangle"),
        (["clip.mp4", "--roi", "90,0,10,10"], 2, "reaches beyond the picture, which is 96x64"),
        (["clip.mp4", "--roi", "0,0,9,9", "--roi", "1,1,9,9"], 2, "2 --roi for 1 sources"),
        (["clip.mp4", "--smoothing", "median:3"], 2, "no smoothing 'median:3'"),
        (["clip.mp4", "--threshold", "2"], 2, "--threshold"),
        (["clip.mp4", "--events", "events.txt"], 2, "is a CSV file, and events.txt ends"),
        (["clip.mp4", "--web-token", "x"], 2, "Add --web PORT"),
        (["."], 1, ""),
    ],
)
def test_usage(
    label: Label, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, told: str
) -> None:
    clip = write_video(Path("clip.mp4"), grey_frames(2))
    before = clip.read_bytes()
    if arguments == ["."]:
        Path("empty.mp4").touch()
    done, _, err = label(*arguments)
    assert done == code
    assert told in err
    assert "secret" not in err
    assert clip.read_bytes() == before


@pytest.mark.parametrize(
    ("read", "arguments"),
    [
        ("film.partial.mp4", ["--video", "film.mp4"]),
        ("film.partial.mp4", ["--jsonl", "film.mp4"]),
        ("x.partial.mp4", ["--jsonl", "x.mp4", "--no-video"]),
    ],
)
def test_a_source_is_never_written_over_as_a_partial_file(
    label: Label, read: str, arguments: list[str]
) -> None:
    film = write_video(Path(read), grey_frames(4))
    before = film.read_bytes()
    code, _, err = label(film, *arguments)
    assert code == 2
    assert f"{read} is a source" in err
    assert film.read_bytes() == before
    assert names() == [read]


@pytest.mark.parametrize("name", ["b.labels.jsonl", "b.labels.partial.jsonl"])
def test_a_source_with_the_name_of_the_default_records_is_kept(label: Label, name: str) -> None:
    film = write_video(Path("film.mp4"), grey_frames(4)).rename(name)
    before = film.read_bytes()
    Path("b").symlink_to(film)
    code, _, err = label("b", "--no-video")
    assert (code, f"{name} is a source" in err) == (2, True)
    assert film.read_bytes() == before


@pytest.mark.parametrize("jsonl", ["same.mp4", "./same.mp4", "same.partial.mp4"])
def test_two_outputs_never_share_a_file(label: Label, tmp_path: Path, jsonl: str) -> None:
    clip = write_video(tmp_path / "clip.mp4", grey_frames(4))
    code, out, err = label(clip, "--video", "same.mp4", "--jsonl", jsonl)
    assert (code, out, names()) == (2, "", [])
    assert len(err.splitlines()) == 1
    assert "is another output" in err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--jsonl", "folder", "--no-video"], 2, "Cannot write folder: it is a folder"),
        (["--video", "folder.mp4"], 2, "Cannot write folder.mp4: it is a folder"),
        (["--jsonl", "file/a.jsonl"], 3, "file is not a folder"),
        (["--video", "closed/inner/a.mp4"], 3, "closed. Give another place"),
    ],
)
def test_outputs_that_cannot_be_written_are_told_before_any_work(
    label: Label,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    told: str,
) -> None:
    clip = write_video(tmp_path / "clip.mp4", grey_frames(4))
    for folder in ("folder", "folder.mp4", "closed"):
        Path(folder).mkdir()
    Path("file").touch()
    # A superuser may write anywhere, so the modes of folders would not do.
    monkeypatch.setattr("os.access", lambda path, mode: Path(path).name != "closed")
    done, out, err = label(clip, *arguments)
    assert (done, out, names()) == (code, "", ["file"])
    assert len(err.splitlines()) == 1
    assert told in err


def test_the_model_is_never_written_over(label: Label, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", grey_frames(4))
    model = tmp_path / "model.onnx"
    before = model.read_bytes()
    code, _, err = label(clip, "--jsonl", model, "--no-video")
    assert (code, "model.onnx is the model" in err) == (2, True)
    assert model.read_bytes() == before


def test_damaged_frames_are_counted_and_exit_1(
    label: Label, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_video(tmp_path / "clip.mp4", grey_frames(4))
    real = VideoReader.read

    def read(self: VideoReader) -> Picture | None:
        picture = real(self)
        self.losses.damaged += picture is not None
        return picture

    monkeypatch.setattr(VideoReader, "read", read)
    code, out, err = label(clip, "--no-video")
    assert code == 1
    assert "4 frames, 2 labels" in out
    assert "4 frames damaged" in out
    assert "4 frames damaged" in err
    assert len(read_records("clip.labels.jsonl")) == 2


def test_a_model_that_is_missing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    clip = write_video(tmp_path / "clip.mp4", grey_frames(2))
    monkeypatch.chdir(tmp_path)
    assert main(["label", str(clip), "--model", "absent.onnx"]) == 2
    assert "There is no model at absent.onnx" in capfd.readouterr().err
    assert main(["label", str(clip), "--model", str(tmp_path)]) == 2
    assert "is a folder" in capfd.readouterr().err


class Run:
    """``effvit-edge label`` in a process of its own, on a film that takes it a while."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        film = write_video(folder / "film.avi", grey_frames(3000, (32, 48)), codec="mpeg4")
        model = write_model(folder / "model.onnx", tiny_card("stream", 25))
        command = [sys.executable, "-m", "effvit_edge.cli.main", "label", str(film)]
        self.process = subprocess.Popen(
            [*command, "--model", str(model), *arguments],
            cwd=folder,
            env={"PYTHONPATH": str(Path(__file__).resolve().parents[2]), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for_records(self, count: int) -> None:
        path = self.folder / "film.partial.jsonl"
        while not path.exists() or path.read_bytes().count(b"\n") < count:
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.01)

    def end(self, number: int) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate()
        return self.process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_closes_the_files_and_exits_130(tmp_path: Path, number: int) -> None:
    run = Run(tmp_path, "--jsonl", "film.jsonl", "--video", "film.mp4")
    run.wait_for_records(20)
    code, out, err = run.end(number)
    assert code == 130
    assert "kept as film.partial.jsonl" in err
    assert "kept as film.partial.mp4" in err
    (line,) = out.splitlines()
    assert line.endswith("frames/s")  # and not where the files are, once more
    assert not (tmp_path / "film.jsonl").exists()
    assert not (tmp_path / "film.mp4").exists()
    records = read_records(tmp_path / "film.partial.jsonl")
    assert len(records) >= 20
    assert len(stated_times(tmp_path / "film.partial.mp4")) == records[-1]["frame"] + 1


def test_a_kill_loses_nothing_written_and_leaves_no_half_file(tmp_path: Path) -> None:
    (tmp_path / "film.jsonl").write_text("older\n")
    run = Run(tmp_path, "--jsonl", "film.jsonl", "--video", "film.mp4")
    run.wait_for_records(150)
    run.end(signal.SIGKILL)
    assert (tmp_path / "film.jsonl").read_text() == "older\n"
    assert not (tmp_path / "film.mp4").exists()
    records = read_records(tmp_path / "film.partial.jsonl")
    assert [record["frame"] for record in records] == list(range(len(records)))
    assert len(stated_times(tmp_path / "film.partial.mp4")) >= 50


def test_a_reader_of_the_records_that_goes_away_ends_the_run(tmp_path: Path) -> None:
    run = Run(tmp_path, "--jsonl", "-", "--no-video")
    assert run.process.stdout is not None
    assert json.loads(run.process.stdout.readline())["frame"] == 0
    run.process.stdout.close()
    assert run.process.stderr is not None
    err = run.process.stderr.read()
    run.process.stderr.close()
    assert run.process.wait() == 0
    (line,) = err.splitlines()
    assert "on the CPU" in line
