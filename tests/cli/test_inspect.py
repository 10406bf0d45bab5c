"""``inspect`` of engines, of chains of files, and of what is no artifact."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from effvit_edge.cli.main import main
from effvit_edge.core.card import LabelGroup
from effvit_edge.core.files import sha256_file
from effvit_edge.runtime.sidecar import read_sidecar, sidecar_path
from tests.engines import make_sidecar, write_engine
from tests.tiny_models import tiny_card, write_model

Capture = pytest.CaptureFixture[str]


def inspected(path: Path, capsys: Capture) -> dict[str, Any]:
    assert main(["inspect", str(path), "--json"]) == 0
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)
    return facts


def engine_with_parent(folder: Path) -> Path:
    """``m.plan``, whose card names ``m.onnx``, whose card names a checkpoint two folders down."""
    weights = folder / "runs" / "one" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    weights.with_name("card.json").write_text(tiny_card("stream").to_json())
    plan = write_engine(folder)
    card = dataclasses.replace(tiny_card("stream"), parent_sha256=sha256_file(weights))
    onnx = write_model(folder / "m.onnx", card)
    card = dataclasses.replace(card, parent_sha256=sha256_file(onnx))
    gate = {"max_abs": 0.001, "cosine": 1.0, "top1_agreement": 1.0, "answers": 12}
    sidecar_path(plan).write_text(make_sidecar(plan.read_bytes(), card=card, gate=gate).to_json())
    return plan


def test_an_engine_tells_its_device_and_what_its_onnx_file_does(
    tmp_path: Path, capsys: Capture
) -> None:
    plan = engine_with_parent(tmp_path)
    facts = inspected(plan, capsys)
    sidecar = read_sidecar(plan)
    assert facts["kind"] == "engine"
    assert facts["sha256"] == sha256_file(plan) == sidecar.plan_sha256
    assert facts["engine"]["device"] == dataclasses.asdict(sidecar.device)  # type: ignore[arg-type]
    onnx_facts = inspected(plan.with_suffix(".onnx"), capsys)
    for name in ("inputs", "outputs", "state_bytes", "layers", "macs"):
        assert facts[name] == onnx_facts[name]

    assert main(["inspect", str(plan)]) == 0
    shown = capsys.readouterr().out
    for row in (
        "built for  tensorrt 10.3.0, ",
        "device     Orin",
        "gate       max difference 1.0e-03",
    ):
        assert row in shown


def test_the_chain_goes_to_the_checkpoint_and_ends_where_a_file_is_gone(
    tmp_path: Path, capsys: Capture
) -> None:
    plan = engine_with_parent(tmp_path)
    onnx, weights = tmp_path / "m.onnx", tmp_path / "runs" / "one" / "model.safetensors"
    expected = [{"sha256": sha256_file(path), "path": str(path)} for path in (onnx, weights)]
    assert inspected(plan, capsys)["ancestors"] == expected

    weights.write_bytes(b"other weights")
    assert inspected(plan, capsys)["ancestors"] == [expected[0], {**expected[1], "path": None}]

    onnx.unlink()
    facts = inspected(plan, capsys)
    assert facts["ancestors"] == [{**expected[0], "path": None}]
    assert "layers" not in facts
    assert main(["inspect", str(plan)]) == 0
    assert "not found beside it" in capsys.readouterr().out


def test_labels_of_several_questions_stand_by_their_group(tmp_path: Path, capsys: Capture) -> None:
    groups = (
        LabelGroup("verb", ("take", "put", "open")),
        LabelGroup("noun", tuple(f"n{number}" for number in range(20))),
        LabelGroup("tag", ("hot",), exclusive=False),
    )
    card = dataclasses.replace(tiny_card("stream"), label_groups=groups)
    model = write_model(tmp_path / "m.onnx", card)
    assert main(["inspect", str(model)]) == 0
    shown = [row for row in capsys.readouterr().out.splitlines() if row.startswith("labels")]
    assert shown[0] == "labels     3 verb: take, put, open"
    assert shown[1].startswith("labels     20 noun: n0, n1, ") and shown[1].endswith("n11, …")
    assert shown[2] == "labels     1 tag (any number at once): hot"


def _edit(plan: Path) -> Path:
    path = sidecar_path(plan)
    path.write_text(path.read_text().replace("10.3.0", "10.16.0"))
    return plan


def _other_plan(plan: Path) -> Path:
    plan.write_bytes(b"ftrt" + b"\0" * 64)
    return plan


def _no_sidecar(plan: Path) -> Path:
    sidecar_path(plan).unlink()
    return plan


def _called_onnx(plan: Path) -> Path:
    return plan.rename(plan.with_name("renamed.onnx"))


def _called_plan(plan: Path) -> Path:
    return plan.with_suffix(".onnx").rename(plan.with_name("renamed.plan"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_edit, "was changed after it was written"),
        (_other_plan, "is not the engine that m.plan.json describes"),
        (_no_sidecar, "has no m.plan.json beside it"),
        (_called_onnx, "is a TensorRT engine by its content, not an ONNX file"),
        (_called_plan, "is an ONNX file by its content, not a TensorRT engine"),
        (lambda plan: plan.with_name("gone.plan"), "There is no file"),
    ],
)
def test_a_spoilt_engine_is_refused(spoil: Any, said: str, tmp_path: Path, capsys: Capture) -> None:
    path = spoil(write_engine(tmp_path))
    assert main(["inspect", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and said in captured.err
