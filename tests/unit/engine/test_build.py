"""From an ONNX file to a checked engine: all of it, or nothing, and not twice."""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from effvit_edge.core.card import Mode
from effvit_edge.core.device import identify
from effvit_edge.core.errors import EdgeError, EnvironmentFault, GateFailure, InputError
from effvit_edge.core.files import sha256_file
from effvit_edge.engine import BuildReport, EngineOptions, build_engine
from effvit_edge.engine.request import BuildRequest
from effvit_edge.engine.target import Machine, look_at_machine
from effvit_edge.runtime import Session, open_session
from effvit_edge.runtime.compatibility import this_system
from effvit_edge.runtime.sidecar import PlanSidecar, read_plan, read_sidecar, sidecar_path
from effvit_edge.runtime.trt import open_plan
from effvit_edge.runtime.trt_fake import ORIN_NANO, FakeLibrary, FakeMemory
from tests.device_trees import COMPUTER, JETPACK_62, tree
from tests.engines import fake_library
from tests.tiny_models import SIDE, WINDOW, tiny_card, write_model

ORIN = Machine("tensorrt", "10.3.0", ORIN_NANO, this_system())


class Workshop:
    """Builds over the fakes, and counts."""

    def __init__(self, onnx: Path) -> None:
        self.onnx = onnx
        self.requests: list[BuildRequest] = []
        self.machine = ORIN
        self.fails: BaseException | None = None

    def build(self, output: Path | None = None, **options: Any) -> BuildReport:
        return build_engine(
            self.onnx,
            output,
            look=lambda: self.machine,
            work=self.work,
            open_plan=self.open,
            **options,
        )

    def work(self, request: BuildRequest, builder: str, progress: Any) -> None:
        self.requests.append(request)
        assert builder == "TensorRT 10.3.0"
        Path(request.plan).write_bytes(b"ftrt" + Path(request.onnx).read_bytes())
        if self.fails is not None:
            raise self.fails

    def open(self, plan: Path, sidecar: PlanSidecar) -> Session:
        memory = FakeMemory()
        library = fake_library(self.onnx, memory)
        return open_plan(plan, sidecar=sidecar, library=library, memory=memory)


def write_samples(path: Path, mode: Mode = "stream", factor: float = 1.0) -> None:
    """``m.verify.npz`` as the export writes it; ``factor`` makes its answers wrong."""
    clips = np.random.default_rng(0).integers(0, 256, (2, WINDOW, SIDE, SIDE, 3), np.uint8)
    answers = []
    verify = path.with_name(f"{path.stem}.verify.npz")
    verify.unlink(missing_ok=True)  # of the model that had the name before
    with open_session(path, "cpu") as session:
        for clip in clips:
            if mode == "clip":
                answers.append(session.run(clip))
                continue
            state, frames = session.init_state(), []
            for frame in clip:
                logits, state = session.step(frame, state)
                frames.append(logits)
            answers.append(np.stack(frames))
    logits = factor * np.stack(answers)
    np.savez(verify, clips=clips, logits=logits)


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.setenv("EFFVIT_ENGINES", str(tmp_path / "engines"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    (tmp_path / "models").mkdir()
    path = write_model(tmp_path / "models" / "m.onnx", tiny_card("stream"))
    write_samples(path)
    return Workshop(path)


def _files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_an_engine_and_what_its_sidecar_says(workshop: Workshop, tmp_path: Path) -> None:
    output = tmp_path / "out" / "m.plan"
    report = workshop.build(output)
    sidecar = read_sidecar(output)
    assert (report.path, report.built, report.notes) == (output, True, ())
    assert report.sidecar == sidecar
    assert read_plan(output, sidecar) == output.read_bytes()
    assert sidecar.onnx_sha256 == sidecar.card.parent_sha256 == sha256_file(workshop.onnx)
    assert dataclasses.replace(sidecar.card, parent_sha256=None) == tiny_card("stream")
    assert (sidecar.onnx_name, sidecar.tensorrt, sidecar.device) == ("m.onnx", "10.3.0", ORIN_NANO)
    assert sidecar.options["workspace_mib"] == 1024
    assert sidecar.gate is not None
    assert sidecar.gate["max_abs"] == report.comparison.max_abs == 0
    assert sidecar.gate["answers"] == 2 * WINDOW
    assert _files(tmp_path / "out") == ["m.plan", "m.plan.json"]


@pytest.mark.parametrize(("files", "mode"), [(JETPACK_62, "MAXN_SUPER"), (COMPUTER, None)])
def test_the_power_mode_that_tactics_are_timed_in_is_kept(
    workshop: Workshop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    mode: str | None,
) -> None:
    board = tree(tmp_path / "board", files)
    monkeypatch.setattr("effvit_edge.engine.build.identify", lambda: identify(board))
    assert workshop.build().sidecar.power_mode == mode


def test_a_clip_model_is_checked_too(workshop: Workshop) -> None:
    write_model(workshop.onnx, tiny_card("clip"))
    write_samples(workshop.onnx, "clip")
    comparison = workshop.build().comparison
    assert comparison is not None
    assert comparison.answers == 2


def test_the_same_inputs_are_built_once(workshop: Workshop, tmp_path: Path) -> None:
    first = workshop.build()
    second = workshop.build()
    assert (first.built, second.built) == (True, False)
    assert first.path == second.path
    assert first.path.parent == tmp_path / "engines"
    assert first.path.name == f"m-{first.sidecar.key}.plan"
    assert len(workshop.requests) == 1
    assert workshop.build(rebuild=True).built
    assert len(workshop.requests) == 2


def test_an_engine_that_is_built_is_copied_where_it_is_wanted(
    workshop: Workshop, tmp_path: Path
) -> None:
    first = workshop.build()
    copied = workshop.build(tmp_path / "here.plan")
    assert (copied.built, copied.path) == (False, tmp_path / "here.plan")
    assert read_sidecar(copied.path) == first.sidecar
    assert read_plan(copied.path, copied.sidecar) == first.path.read_bytes()


def _other_graph(workshop: Workshop) -> None:
    model = onnx.load(workshop.onnx)
    model.producer_version = "2"
    onnx.save(model, workshop.onnx)


def _other_machine(**changes: Any) -> Callable[[Workshop], None]:
    def change(workshop: Workshop) -> None:
        workshop.machine = dataclasses.replace(ORIN, **changes)

    return change


OTHERS: dict[str, Callable[[Workshop], Any]] = {
    "graph": _other_graph,
    "device": _other_machine(device=dataclasses.replace(ORIN_NANO, name="Orin Nano")),
    "multiprocessors": _other_machine(device=dataclasses.replace(ORIN_NANO, multiprocessors=6)),
    "compute": _other_machine(device=dataclasses.replace(ORIN_NANO, compute_capability="8.6")),
    "cuda": _other_machine(device=dataclasses.replace(ORIN_NANO, cuda="12.9")),
    "system": _other_machine(system="Linux other"),
}


def _key(workshop: Workshop, **options: Any) -> str:
    """Of the engine that would be built; those of other machines cannot be run here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("effvit_edge.engine.build.verify_path", lambda path: Path("absent"))
        return workshop.build(**options).sidecar.key


@pytest.mark.parametrize("other", OTHERS)
def test_another_input_is_another_engine(workshop: Workshop, other: str) -> None:
    before = _key(workshop)
    OTHERS[other](workshop)
    assert _key(workshop) != before
    assert len(workshop.requests) == 2


@pytest.mark.parametrize(
    "options", [{"workspace_mib": 512}, {"optimization_level": 2}, {"tf32": False}]
)
def test_other_options_are_another_engine(workshop: Workshop, options: dict[str, Any]) -> None:
    before = _key(workshop)
    assert _key(workshop, options=EngineOptions(**options)) != before


def test_a_damaged_engine_is_built_again(workshop: Workshop) -> None:
    path = workshop.build().path
    path.write_bytes(path.read_bytes()[:-1])
    assert workshop.build().built
    sidecar_path(path).unlink()
    assert workshop.build().built
    assert not workshop.build().built


def test_an_engine_that_answers_otherwise_is_not_kept(workshop: Workshop, tmp_path: Path) -> None:
    write_samples(workshop.onnx, factor=1.2)
    with pytest.raises(GateFailure, match=r"limit 1\.00%.*No engine was written") as caught:
        workshop.build(tmp_path / "out" / "m.plan")
    assert caught.value.exit_code == 4
    assert _files(tmp_path / "out") == []
    wide = {"relative": 0.5, "cosine": 0.9}
    assert workshop.build(tmp_path / "out" / "m.plan", limits=wide).built
    found = workshop.build(tmp_path / "out" / "m.plan", limits=wide)
    assert not found.built
    assert found.comparison is not None
    with pytest.raises(GateFailure):  # an engine that is found is held to the limits, too
        workshop.build(tmp_path / "out" / "m.plan")


def test_an_engine_that_answers_nan_is_not_kept(workshop: Workshop) -> None:
    write_samples(workshop.onnx, factor=float("nan"))
    with pytest.raises(GateFailure):
        workshop.build()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EdgeError("it failed")], ids=repr)
def test_a_build_that_ends_early_leaves_nothing(
    workshop: Workshop, tmp_path: Path, error: BaseException
) -> None:
    output = tmp_path / "out" / "m.plan"
    workshop.fails = error
    with pytest.raises(type(error)):
        workshop.build(output)
    assert _files(tmp_path / "out") == []
    workshop.fails = None
    workshop.build(output)
    kept = output.read_bytes(), sidecar_path(output).read_bytes()
    workshop.fails = error
    with pytest.raises(type(error)):
        workshop.build(output, rebuild=True)
    assert (output.read_bytes(), sidecar_path(output).read_bytes()) == kept


def test_a_full_disk_is_told(workshop: Workshop, tmp_path: Path) -> None:
    workshop.fails = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(EdgeError, match=r"m\.plan could not be written: no space left on device"):
        workshop.build(tmp_path / "m.plan")


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_where_nothing_can_be_written_the_users_folder_is_taken(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    touch = Path.touch

    def refuse(path: Path, *arguments: Any, **options: Any) -> None:
        if locked in path.parents:
            raise OSError(code, os.strerror(code), str(path))
        touch(path, *arguments, **options)

    monkeypatch.setattr(Path, "touch", refuse)
    report = workshop.build(locked / "m.plan")
    assert report.path == tmp_path / "user" / "effvit-edge" / "engines" / "m.plan"
    assert report.path.is_file()
    (note,) = report.notes
    assert f"{locked} cannot be written ({os.strerror(code).lower()})" in note
    assert not workshop.build(locked / "m.plan").built


def test_what_is_not_checked_says_why(workshop: Workshop) -> None:
    workshop.onnx.with_name("m.verify.npz").unlink()
    report = workshop.build()
    assert report.comparison is None
    assert report.sidecar.gate is None
    (note,) = report.notes
    assert "not compared with its parent" in note
    assert "m.verify.npz is missing" in note
    assert not workshop.build().built
    write_samples(workshop.onnx)
    checked = workshop.build()  # now it can be, so it must be
    assert checked.built
    assert checked.comparison is not None


def test_an_engine_for_several_cameras_is_not_checked_by_a_session(workshop: Workshop) -> None:
    model = onnx.load(workshop.onnx)
    for value in model.graph.input:
        sizes = [size.dim_value for size in value.type.tensor_type.shape.dim]
        kind = value.type.tensor_type.elem_type
        value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, kind, [3, *sizes]))
    onnx.save(model, workshop.onnx)
    (note,) = workshop.build().notes
    assert "several streams at once" in note


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"clips": np.zeros((1, 2, SIDE, SIDE, 3), np.uint8)}, "logits"),
        (
            {
                "clips": np.zeros((1, 2, SIDE + 1, SIDE, 3), np.uint8),
                "logits": np.zeros((1, 2, 3), np.float32),
            },
            "is of another model",
        ),
        (
            {
                "clips": np.zeros((1, 2, SIDE, SIDE, 3), np.uint8),
                "logits": np.zeros((1, 3), np.float32),
            },
            r"expected \(1, 2, 3\)",
        ),
    ],
    ids=["no answers", "other pictures", "other answers"],
)
def test_samples_of_another_model_are_refused(
    workshop: Workshop, content: dict[str, np.ndarray], message: str
) -> None:
    np.savez(workshop.onnx.with_name("m.verify.npz"), **content)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=message):
        workshop.build()


def test_samples_that_cannot_be_read_are_refused(workshop: Workshop) -> None:
    workshop.onnx.with_name("m.verify.npz").write_bytes(b"PK no archive")
    with pytest.raises(InputError, match="cannot be read as clips and answers"):
        workshop.build()


def test_bad_inputs_are_refused_before_anything_is_asked_of_tensorrt(
    workshop: Workshop, tmp_path: Path
) -> None:
    def refused(path: Path, output: Path | None = None) -> str:
        def look() -> Machine:
            raise AssertionError("TensorRT was looked for")

        with pytest.raises(InputError) as caught:
            build_engine(path, output, look=look, work=workshop.work)
        return str(caught.value)

    bad = tmp_path / "bad.onnx"
    assert "There is no ONNX file" in refused(bad)
    bad.write_bytes(b"")
    assert "not an ONNX file" in refused(bad)
    bad.write_text("not a model at all")
    assert "not an ONNX file" in refused(bad)
    bad.write_bytes(workshop.onnx.read_bytes()[:300])
    assert "not an ONNX file" in refused(bad)
    bad.write_bytes(b"ftrt" + bytes(100))
    assert "is a TensorRT engine by its content" in refused(bad)
    write_model(bad, tiny_card("stream"), with_card=False)
    assert "no model card" in refused(bad)
    assert "is a folder" in refused(workshop.onnx, tmp_path)
    assert "must be named like model.plan" in refused(workshop.onnx, tmp_path / "m.onnx")


@pytest.mark.parametrize(("opset", "ir"), [(23, 10), (18, 13), (13, 8)])
def test_versions_that_tensorrt_does_not_read_are_refused(
    workshop: Workshop, opset: int, ir: int
) -> None:
    model = onnx.load(workshop.onnx)
    model.ir_version, model.opset_import[0].version = ir, opset
    onnx.save(model, workshop.onnx)
    with pytest.raises(InputError, match=f"opset {opset} and IR version {ir}; engines are built"):
        workshop.build()


def test_the_timing_cache_lies_with_the_engines_of_a_device(
    workshop: Workshop, tmp_path: Path
) -> None:
    workshop.build()
    name = tmp_path / "engines" / "timing-Orin_8.7_10.3.0.cache"
    assert workshop.requests[0].timings == str(name)


def test_the_device_is_let_go_before_the_build() -> None:
    memory = FakeMemory()
    library = _any_library(memory)
    machine = look_at_machine("tensorrt", lambda _: library, lambda: memory)
    assert machine == ORIN
    assert memory.events == ["close"]


def test_only_rtx_builds_without_a_device() -> None:
    def absent() -> Any:
        raise EnvironmentFault("CUDA finds no device.")

    library = _any_library(FakeMemory())
    with pytest.raises(EnvironmentFault):
        look_at_machine("tensorrt", lambda _: library, absent)
    assert look_at_machine("tensorrt_rtx", lambda _: library, absent).device is None


def _any_library(memory: FakeMemory) -> Any:
    return FakeLibrary(memory, [], dict)
