"""Bad input to export and to what runs its files: a sentence, the exit code, nothing half-written.

Where a test says so it goes through every command that takes the file.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from effvit_edge.cli.main import main
from effvit_edge.engine.cache import engines_folder
from effvit_edge.export import export_onnx
from effvit_edge.runtime.sidecar import sidecar_path
from effvit_edge.train.checkpoint import save_model
from tests.cli.devices import Device, pretend_device
from tests.engines import write_engine
from tests.tiny_models import SIDE, tiny_card, write_model
from tests.unit.engine.test_build import write_samples
from tests.unit.engine.test_worker import wait_for_end
from tests.unit.export.networks import IMAGE, make_model
from tests.videos import write_video

Capture = pytest.CaptureFixture[str]
REPOSITORY = Path(__file__).resolve().parents[2]
DEMO = REPOSITORY / "models" / "demo.onnx"


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Device:
    return pretend_device(monkeypatch, tmp_path / "device")


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    (tmp_path / "graph").mkdir()
    path = write_model(tmp_path / "graph" / "g.onnx", tiny_card("stream"))
    write_samples(path)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _text(path: Path) -> None:
    path.write_text("not a model at all")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _cut(path: Path) -> None:
    path.write_bytes(DEMO.read_bytes()[:5000])


def _archive(path: Path) -> None:
    """What torch.save writes."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", "weights")


def _no_card(path: Path) -> None:
    write_model(path, tiny_card("stream"), with_card=False)


def _no_labels(path: Path) -> None:
    model = onnx.load(write_model(path, tiny_card("stream")))
    text = model.metadata_props[0].value
    model.metadata_props[0].value = text.replace('"label_groups"', '"labels"')
    onnx.save(model, path)


def _engine(path: Path) -> None:
    path.write_bytes(b"ftrt" + bytes(200))


def _sidecar(path: Path) -> None:
    _engine(path.with_suffix(".plan"))
    path.write_text("{}")


FILES: list[tuple[str, Callable[[Path], None], str]] = [
    ("m.onnx", _text, "is not an ONNX file, or not all of one"),
    ("m.onnx", _empty, "is not an ONNX file, or not all of one"),
    ("m.onnx", _cut, "is not an ONNX file, or not all of one"),
    ("m.onnx", _archive, "is not an ONNX file, or not all of one"),
    ("model.pt", _archive, "is not an ONNX file, or not all of one"),
    ("m.onnx", _no_card, "has no model card"),
    ("m.onnx", _no_labels, "The model card of"),
    ("m.onnx", _engine, "is a TensorRT engine by its content, not an ONNX file"),
    ("m.plan", _engine, "is a TensorRT engine already"),
    ("m.plan", _no_card, "is an ONNX file by its content, not a TensorRT engine"),
    ("m.plan.json", _sidecar, "is not a model; of an engine's two files give m.plan"),
]


@pytest.mark.parametrize(("name", "make", "said"), FILES)
@pytest.mark.parametrize("target", ["reduced", "engine"])
def test_what_is_no_graph_of_ours_is_refused(
    target: str,
    name: str,
    make: Callable[[Path], None],
    said: str,
    device: Device,
    tmp_path: Path,
    out: Path,
    capsys: Capture,
) -> None:
    path = tmp_path / name
    make(path)
    options = ["--precision", "fp16", "-o", str(out / "n.onnx")]
    if target == "engine":
        options = ["--format", "engine", "-o", str(out / "n.plan")]
    assert main(["export", str(path), *options]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("error:") == 1
    assert captured.out == "" and names(out) == []


@pytest.mark.parametrize(("opset", "ir"), [(23, 10), (18, 13), (13, 8)])
@pytest.mark.parametrize("target", ["reduced", "engine"])
def test_a_graph_of_other_versions_is_refused(
    target: str, opset: int, ir: int, device: Device, graph: Path, out: Path, capsys: Capture
) -> None:
    model = onnx.load(graph)
    model.ir_version, model.opset_import[0].version = ir, opset
    onnx.save(model, graph)
    options = ["--precision", "fp16", "-o", str(out / "n.onnx")]
    if target == "engine":
        options = ["--format", "engine", "-o", str(out / "n.plan")]
    assert main(["export", str(graph), *options]) == 2
    error = capsys.readouterr().err
    assert str(opset if (opset, ir) != (18, 13) else ir) in error
    assert "Export the checkpoint again" in error
    assert names(out) == []


RUNS: list[list[str]] = [
    ["inspect", "MODEL"],
    ["eval", "MODEL", "--data", "clips"],
    ["label", "clips/light/a.mp4", "--model", "MODEL", "--no-video"],
]


@pytest.fixture
def footage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder, with two videos."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "clips" / "light"
    folder.mkdir(parents=True)
    for name in ("a.mp4", "b.mp4"):
        write_video(folder / name, [np.full((SIDE * 4, SIDE * 4, 3), 240, np.uint8)] * 12)


@pytest.mark.parametrize("command", RUNS, ids=lambda words: words[0])
@pytest.mark.parametrize("renamed", ["m.onnx", "m.plan"])
def test_a_file_under_the_other_kinds_name_is_told_everywhere(
    command: list[str], renamed: str, footage: None, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / renamed
    (_engine if renamed == "m.onnx" else _no_card)(path)
    before = path.read_bytes()
    assert main([word.replace("MODEL", renamed) for word in command]) == 2
    assert "by its content" in capsys.readouterr().err
    assert path.read_bytes() == before


def _edited(plan: Path) -> None:
    path = sidecar_path(plan)
    path.write_text(path.read_text().replace('"fps": 10.0', '"fps": 25.0'))


def _of_another(plan: Path) -> None:
    plan.write_bytes(plan.read_bytes().replace(b"next_state_mean", b"next_state_mEAn"))


def _alone(plan: Path) -> None:
    sidecar_path(plan).unlink()


@pytest.mark.parametrize("command", RUNS, ids=lambda words: words[0])
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_edited, "it was changed after it was written"),
        (_of_another, "is not the engine that m.plan.json describes"),
        (_alone, "has no m.plan.json beside it"),
    ],
    ids=["edited", "of another", "alone"],
)
def test_an_engine_and_a_sidecar_that_do_not_belong_together_are_told_everywhere(
    command: list[str],
    spoil: Callable[[Path], None],
    said: str,
    device: Device,
    footage: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    spoil(write_engine(tmp_path))
    monkeypatch.setattr("effvit_edge.engine.open_engine", device.open)
    assert main([word.replace("MODEL", "m.plan") for word in command]) == 2
    error = capsys.readouterr().err
    assert said in error and "again" in error


@pytest.mark.parametrize("command", RUNS, ids=lambda words: words[0])
def test_a_sidecar_without_its_engine_is_told_everywhere(
    command: list[str], footage: None, tmp_path: Path, capsys: Capture
) -> None:
    write_engine(tmp_path).unlink()
    assert main([word.replace("MODEL", "m.plan") for word in command]) == 2
    assert "m.plan" in capsys.readouterr().err


def test_calibrating_on_nothing_is_refused(tmp_path: Path, out: Path, capsys: Capture) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "hollow" / "light").mkdir(parents=True)
    for name in ("empty", "hollow"):
        arguments = ["--precision", "int8", "--calibrate", str(tmp_path / name)]
        assert main(["export", str(DEMO), *arguments, "-o", str(out / "m.onnx")]) == 2
        assert name in capsys.readouterr().err
    assert names(out) == []


def test_calibrating_on_clips_that_were_prepared_smaller_is_refused(
    footage: None, tmp_path: Path, out: Path, capsys: Capture
) -> None:
    """Videos of any size are scaled; what was scaled down for another model is lost."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "model: {preset: efficientvit3d_b0}\n"
        "input: {height: 16, width: 16, fps: 15, frames: 4}\n"
        "data: {kind: videos, root: clips, set: folder}\n"
        "optim: {lr: 0.1, batch_size: 1, steps: 1}\n",
        encoding="utf-8",
    )
    assert main(["prepare", str(recipe), "--output", "prepared"]) == 0
    capsys.readouterr()
    arguments = ["--precision", "int8", "--calibrate", "prepared"]
    assert main(["export", str(DEMO), *arguments, "-o", str(out / "m.onnx")]) == 2
    error = capsys.readouterr().err
    assert "was prepared with a short side (pixels) of" in error and "the model needs 64" in error
    assert names(out) == []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    save_model(folder, *make_model(IMAGE))
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a folder that nobody can write")
@pytest.mark.parametrize("name", ["m.onnx", "m.plan"])
def test_a_folder_that_cannot_be_written_is_told_before_the_work(
    name: str, run: Path, device: Device, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """In /sys the kernel refuses also the superuser."""

    def load_model(folder: Path) -> Any:
        raise AssertionError("the work was begun")

    monkeypatch.setattr("effvit_edge.train.checkpoint.load_model", load_model)
    form = ["--format", "engine"] if name == "m.plan" else []
    assert main(["export", str(run), *form, "-o", f"/sys/kernel/{name}"]) == 3
    error = capsys.readouterr().err
    assert f"/sys/kernel/{name} cannot be written" in error and "another folder" in error


def _fill_up(monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    """A disk on which files of this kind find no room, after half of them was written."""
    write_bytes = Path.write_bytes

    def refuse(path: Path, content: bytes) -> int:
        if path.suffix != suffix:
            return write_bytes(path, content)
        write_bytes(path, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", refuse)


def test_a_full_disk_leaves_the_older_graph(
    run: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    for name in ("m.onnx", "m.verify.npz"):
        (out / name).write_bytes(b"older")
    _fill_up(monkeypatch, ".onnx")
    assert main(["export", str(run), "-o", str(out / "m.onnx")]) == 1
    assert "m.onnx could not be written: no space left on device." in capsys.readouterr().err
    assert names(out) == ["m.onnx", "m.verify.npz"]
    assert {path.read_bytes() for path in out.iterdir()} == {b"older"}


def test_a_full_disk_leaves_no_samples_without_a_graph(
    run: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def refuse(*arguments: Any, **arrays: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez_compressed", refuse)
    assert main(["export", str(run), "-o", str(out / "m.onnx")]) == 1
    assert "could not be written: no space left on device." in capsys.readouterr().err
    assert names(out) == []


def test_a_full_disk_leaves_no_engine(
    graph: Path, device: Device, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("STAND_IN", "full")
    assert main(["export", str(graph), "--format", "engine", "-o", str(out / "m.plan")]) == 1
    assert "could not be written: No space left on device" in capsys.readouterr().err
    assert names(out) == []


def test_ctrl_c_during_a_build_leaves_nothing(
    graph: Path,
    device: Device,
    out: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    """The signal comes while the process that builds is at it, and waits for nothing else."""
    monkeypatch.setenv("STAND_IN", f"hang|{tmp_path / 'process'}")

    def interrupted(lines: Any, progress: Any) -> None:
        next(line for line in lines if "progress" in line)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the signal was not heard")

    monkeypatch.setattr("effvit_edge.engine.process._follow", interrupted)
    # where the tests run in the background, the shell lets them ignore it
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = main(["export", str(graph), "--format", "engine", "-o", str(out / "m.plan")])
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 130
    assert capsys.readouterr().err.splitlines()[-1] == "interrupted"
    assert names(out) == []
    wait_for_end(int((tmp_path / "process").read_text()))


KILLED = """
import sys
from pathlib import Path
import pytest
from effvit_edge.cli import building
from effvit_edge.cli.main import main
from tests.cli.devices import pretend_device
pretend_device(pytest.MonkeyPatch(), Path(sys.argv[1]))
import os
os.environ["STAND_IN"] = sys.argv[2]
sys.exit(main(["export", sys.argv[3], "--format", "engine", "-o", sys.argv[4]]))
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux can wait for any process")
def test_a_command_that_is_killed_leaves_no_final_name(
    graph: Path, out: Path, tmp_path: Path
) -> None:
    """Its older engine stays as it was, and the process that builds ends with it."""
    for name in ("m.plan", "m.plan.json"):
        (out / name).write_bytes(b"older")
    hang = f"hang|{tmp_path / 'process'}"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path / "device", hang, graph, out / "m.plan"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    ) as command:
        assert command.stderr is not None
        assert command.stderr.readline() == "Building an engine of g.onnx for this device\n"
        command.kill()
    wait_for_end(int((tmp_path / "process").read_text()))
    visible = [name for name in names(out) if not name.startswith(".")]
    assert visible == ["m.plan", "m.plan.json"]
    assert {(out / name).read_bytes() for name in visible} == {b"older"}


def test_nothing_of_all_this_is_kept_in_the_cache(device: Device, graph: Path, out: Path) -> None:
    device.factor = 2.0
    assert main(["export", str(graph), "--format", "engine", "-o", str(out / "m.plan")]) == 4
    plans = list(engines_folder().glob("*.plan*")) if engines_folder().is_dir() else []
    assert plans == []


@pytest.mark.parametrize("data", ["--verify", "--calibrate"])
def test_a_negative_seed_is_refused(data: str, out: Path, capsys: Capture) -> None:
    precision = "int8" if data == "--calibrate" else "fp16"
    arguments = ["--precision", precision, data, "motion", "--seed", "-5"]
    assert main(["export", str(DEMO), *arguments, "-o", str(out / "m.onnx")]) == 2
    assert "Invalid value for '--seed'" in capsys.readouterr().err
    assert names(out) == []


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("limit", ["relative", "cosine", "agreement", "drop"])
def test_a_limit_that_is_no_number_is_refused(
    limit: str, value: str, out: Path, capsys: Capture
) -> None:
    arguments = ["--precision", "fp16", f"--limit-{limit}", value]
    assert main(["export", str(DEMO), *arguments, "-o", str(out / "m.onnx")]) == 2
    assert f"Invalid value for '--limit-{limit}'" in capsys.readouterr().err
    assert names(out) == []


@pytest.mark.parametrize(
    "option",
    [
        "--verify-where a=b",
        "--calibrate-where a=b",
        "--calibrate-clips 96",
        "--calibration-method channels",
    ],
)
@pytest.mark.parametrize("target", ["reduced", "engine"])
def test_an_option_about_footage_that_is_not_given_is_refused(
    target: str, option: str, device: Device, graph: Path, out: Path, capsys: Capture
) -> None:
    """Also as it is by default, once it stands on the command line."""
    options = ["--precision", "fp16", "-o", str(out / "n.onnx")]
    if target == "engine":
        options = ["--format", "engine", "-o", str(out / "n.plan")]
    assert main(["export", str(graph), *options, *option.split()]) == 2
    error = capsys.readouterr().err
    assert f"{option.split()[0]} is for --" in error and "which is not given" in error
    assert names(out) == []


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is loaded, and nothing is converted."""

    def begin(*arguments: Any) -> None:
        raise AssertionError("the work was begun")

    monkeypatch.setattr("effvit_edge.train.checkpoint.load_model", begin)
    monkeypatch.setattr("effvit_edge.export.convert.read_parent", begin)


FOOTAGE = [("--verify", "fp16"), ("--calibrate", "int8")]


@pytest.mark.parametrize(("option", "precision"), FOOTAGE)
@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("nope", "nope does not exist. Give a folder of classes"),
        ("nope.csv", "nope.csv does not exist"),
        ("film.mp4", "film.mp4 is not a CSV file or recipe"),
    ],
)
def test_footage_that_is_not_there_is_told_before_the_work(
    option: str,
    precision: str,
    data: str,
    said: str,
    no_work: None,
    run: Path,
    out: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("film.mp4").write_bytes(b"film")
    for artifact in (run, DEMO):
        arguments = ["export", str(artifact), "--precision", precision, option, data]
        assert main([*arguments, "-o", str(out / "m.onnx")]) == 2
        assert capsys.readouterr().err.startswith(f"error: {option} {said}")
    assert names(out) == []


@pytest.mark.parametrize(("option", "precision"), FOOTAGE)
def test_rows_of_footage_that_is_no_csv_are_refused_by_the_options_name(
    option: str, precision: str, no_work: None, out: Path, capsys: Capture
) -> None:
    arguments = ["--precision", precision, option, "motion", f"{option}-where", "a=b"]
    assert main(["export", str(DEMO), *arguments, "-o", str(out / "m.onnx")]) == 2
    assert f"{option}-where chooses rows of a CSV file" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "precision"), FOOTAGE)
def test_several_streams_and_footage_are_refused_before_the_work(
    option: str, precision: str, no_work: None, run: Path, out: Path, capsys: Capture
) -> None:
    arguments = ["--batch", "2", "--precision", precision, option, "motion"]
    assert main(["export", str(run), *arguments, "-o", str(out / "m.onnx")]) == 2
    assert f"{option} shows a graph one stream" in capsys.readouterr().err
    assert names(out) == []


def test_several_streams_and_footage_are_refused_of_an_engine(
    no_work: None, device: Device, run: Path, out: Path, capsys: Capture
) -> None:
    arguments = ["--batch", "2", "--format", "engine", "--verify", "motion"]
    assert main(["export", str(run), *arguments, "-o", str(out / "m.plan")]) == 2
    assert "--verify shows a graph one stream" in capsys.readouterr().err
    assert names(out) == []


@pytest.mark.parametrize(("option", "precision"), FOOTAGE)
def test_footage_is_not_shown_to_a_file_of_several_streams(
    option: str, precision: str, tmp_path: Path, out: Path, capsys: Capture
) -> None:
    path = tmp_path / "two.onnx"
    export_onnx(*make_model(IMAGE), path, mode="stream", batch=2)
    arguments = ["--precision", precision, option, "motion", "-o", str(out / "m.onnx")]
    assert main(["export", str(path), *arguments]) == 2
    assert f"{option} shows a graph one stream, and {path} takes several" in capsys.readouterr().err
    assert names(out) == []
