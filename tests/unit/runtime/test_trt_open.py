"""Engines that cannot be opened: what is said, and that nothing reaches TensorRT before."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from effvit_edge.core.errors import (
    EdgeError,
    EnvironmentFault,
    IncompatibleArtifact,
    InputError,
)
from effvit_edge.runtime import open_session
from effvit_edge.runtime.kinds import is_plan
from effvit_edge.runtime.sidecar import PlanSidecar, read_plan, read_sidecar, sidecar_path
from effvit_edge.runtime.trt import open_plan
from effvit_edge.runtime.trt_fake import ORIN_NANO, FakeMemory
from tests.engines import fake_library, make_sidecar, open_fake, write_engine
from tests.tiny_models import tiny_card, write_model

AGX = dataclasses.replace(ORIN_NANO, multiprocessors=16)
H200 = dataclasses.replace(ORIN_NANO, name="NVIDIA H200", compute_capability="9.0")


def _refused(plan: Path, kind: type[EdgeError], **options: Any) -> str:
    """What is said, and that TensorRT never saw the plan and the device was let go."""
    memory = FakeMemory()
    library = fake_library(plan.with_suffix(".onnx"), memory)
    with pytest.raises(kind) as caught:
        open_plan(plan, library=library, memory=memory, **options)
    assert memory.events == ["close"]
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "was", "now"),
    [
        ({"tensorrt": "10.16.2"}, "TensorRT 10.16.2", "TensorRT 10.3.0"),
        ({"device": H200}, "NVIDIA H200 (compute 9.0, 8 SMs)", "Orin (compute 8.7, 8 SMs)"),
        ({"device": AGX}, "Orin (compute 8.7, 16 SMs)", "Orin (compute 8.7, 8 SMs)"),
        ({"system": "Linux riscv64"}, "Linux riscv64", "Linux"),
    ],
    ids=["version", "device", "size", "system"],
)
def test_an_engine_of_something_else_is_refused_before_it_is_loaded(
    tmp_path: Path, change: dict[str, Any], was: str, now: str
) -> None:
    plan = write_engine(tmp_path, **change)
    said = _refused(plan, IncompatibleArtifact)
    assert f"was built for {was}; this is {now}" in said
    assert said.endswith(f"effvit-edge export {tmp_path}/m.onnx --format engine -o {plan}")
    assert IncompatibleArtifact.exit_code == 5


def test_everything_that_differs_is_told(tmp_path: Path) -> None:
    plan = write_engine(tmp_path, tensorrt="11.4.0.106", device=H200)
    said = _refused(plan, IncompatibleArtifact)
    assert "TensorRT 11.4.0.106, NVIDIA H200 (compute 9.0, 8 SMs); this is TensorRT 10.3.0" in said


def test_cuda_and_the_power_mode_are_not_held_against_it(tmp_path: Path) -> None:
    device = dataclasses.replace(ORIN_NANO, cuda="12.9")
    plan = write_engine(tmp_path, device=device, power_mode="MAXN_SUPER")
    with open_fake(plan) as session:
        assert session.provider_report == "TensorRT 10.3.0 on Orin"


def test_an_engine_with_the_plugin_needs_it(tmp_path: Path) -> None:
    plan = write_engine(tmp_path, plugin="abc")
    assert "engine.open_engine" in _refused(plan, IncompatibleArtifact)
    given = []
    memory = FakeMemory()

    def register(library: Any, sources: str) -> object:
        assert "load" not in memory.events
        given.append((library.flavour, sources))
        return object()

    library = fake_library(plan.with_suffix(".onnx"), memory)
    open_plan(plan, register=register, library=library, memory=memory).close()
    assert given == [("tensorrt", "abc")]


def test_a_plan_without_its_sidecar_is_refused(tmp_path: Path) -> None:
    plan = write_engine(tmp_path)
    sidecar_path(plan).unlink()
    said = _refused(plan, InputError)
    assert "no m.plan.json beside it" in said
    assert "--format engine" in said


def _edited(plan: Path, edit: Any) -> None:
    path = sidecar_path(plan)
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c.update(tensorrt="10.16.2"), "changed after it was written"),
        (lambda c: c["card"].update(fps=30.0), "changed after it was written"),
        (lambda c: c.pop("key"), "misses key"),
        (lambda c: c.update(more=1), "has unknown more"),
        (lambda c: c.update(schema_version=7), "schema version is 7"),
    ],
    ids=["version", "card", "less", "more", "schema"],
)
def test_a_sidecar_edited_by_hand_is_refused(tmp_path: Path, edit: Any, message: str) -> None:
    plan = write_engine(tmp_path)
    _edited(plan, edit)
    assert message in _refused(plan, InputError)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00\x01", '{"schema_version": 1}'])
def test_what_is_no_sidecar_is_refused(tmp_path: Path, text: str) -> None:
    plan = write_engine(tmp_path)
    sidecar_path(plan).write_text(text)
    assert f"{plan}.json cannot be used" in _refused(plan, InputError)
    sidecar_path(plan).write_bytes(b"\xff\xfe\xff")
    assert "is not text" in _refused(plan, InputError)


def test_a_sidecar_of_another_plan_is_refused(tmp_path: Path) -> None:
    plan = write_engine(tmp_path)
    whole = plan.read_bytes()
    for content in (whole[:-10], whole[:-1] + b"\x00", b""):
        plan.write_bytes(content)
        assert "is not the engine that m.plan.json describes" in _refused(plan, InputError)


def test_the_sidecar_reads_as_it_was_written() -> None:
    for changes in ({}, {"device": None, "power_mode": None, "gate": {"cosine": 0.5}}):
        sidecar = make_sidecar(b"plan", **changes)
        assert PlanSidecar.from_json(sidecar.to_json(), "here") == sidecar


def test_reading_a_whole_engine(tmp_path: Path) -> None:
    plan = write_engine(tmp_path)
    assert read_plan(plan, read_sidecar(plan)) == plan.read_bytes()


def test_files_under_the_others_name_are_told_apart(tmp_path: Path) -> None:
    plan = write_engine(tmp_path)
    onnx, named_onnx, named_plan = tmp_path / "m.onnx", tmp_path / "p.onnx", tmp_path / "o.plan"
    shutil.copy(plan, named_onnx)
    shutil.copy(onnx, named_plan)
    assert is_plan(plan)
    assert not is_plan(onnx)
    with pytest.raises(InputError, match=r"engine by its content.*Call it p\.plan"):
        open_session(named_onnx)
    with pytest.raises(InputError, match=r"ONNX file by its content.*Call it o\.onnx"):
        open_session(named_plan)
    with pytest.raises(InputError, match=r"m\.plan\.json is not a model; .* give m\.plan\."):
        open_session(sidecar_path(plan))
    nameless = tmp_path / "engine"
    shutil.copy(plan, nameless)
    assert is_plan(nameless)


def test_an_engine_runs_on_tensorrt_only(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="which cpu does not run"):
        open_session(write_engine(tmp_path), "cpu")


def test_an_onnx_file_is_not_run_by_tensorrt_as_it_is(tmp_path: Path) -> None:
    onnx = write_model(tmp_path / "m.onnx", tiny_card("stream"))
    with pytest.raises(InputError, match=r"Build one of it: effvit-edge export .*--format engine"):
        open_session(onnx, "tensorrt")


def test_without_tensorrt_the_install_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(EnvironmentFault, match="TensorRT itself comes with JetPack"):
        open_session(write_engine(tmp_path))
