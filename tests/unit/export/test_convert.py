from __future__ import annotations

import dataclasses
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from effvit_edge.core.errors import GateFailure, InputError
from effvit_edge.core.files import sha256_file
from effvit_edge.export.convert import Parent, as_parent, convert, read_parent
from effvit_edge.export.exclude import find_exclusions
from effvit_edge.export.gate import LIMITS, Gate, Limits
from effvit_edge.export.precision.calibrate import Calibration, calibrate
from effvit_edge.export.precision.fp16 import to_fp16
from effvit_edge.export.precision.graph import read_card, write_card
from effvit_edge.export.precision.nodes import named_nodes
from effvit_edge.export.samples import render_samples
from effvit_edge.runtime import open_session
from tests.unit.export.precision.networks import overflowing, sequences

DEMO = Path(__file__).parents[3] / "models" / "demo.onnx"
SHORT: dict[str, Any] = {"footage": render_samples(read_parent(DEMO).card, 12), "follow": 96}
LOOSE = Limits(relative=1e9, cosine=-1, agreement=0, drop=1)


@cache
def demo() -> Parent:
    return read_parent(DEMO)


@cache
def ranges() -> Calibration:
    return calibrate(demo().model, sequences(frames=6, size=64), method="minmax")


def gate(model: onnx.ModelProto, limits: Limits) -> Gate:
    return Gate(model, demo().card, render_samples(demo().card, 12), limits, follow=96)


def test_fp16_of_the_demo_model_passes_and_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    report = convert(demo(), path, precision="fp16", limits=LIMITS["fp16"])
    assert report.verdict.comparison.top1_agreement > 0.98
    drift = report.verdict.drift
    assert drift is not None and drift.frames >= 1000
    assert drift.by_loop[-1] == pytest.approx(drift.by_loop[1], rel=1e-6)
    with open_session(path, provider="cpu") as session:
        card = session.card
        assert card.precision == "fp16"
        assert card.parent_sha256 == sha256_file(DEMO)
        frames = render_samples(card, 6)[0]
        state = session.init_state()
        for frame in frames:
            logits, state = session.step(frame, state)
        assert logits.dtype == np.float32
    done = card.provenance["precision"]
    assert isinstance(done, dict)
    assert done["float32_nodes"] == named_nodes(demo().model, "entry")
    with np.load(report.verify_path) as kept:
        assert kept["clips"].dtype == np.uint8 and len(kept["logits"]) == len(kept["clips"])


def test_int8_of_the_demo_model_keeps_its_calibration(tmp_path: Path) -> None:
    report = convert(
        demo(), tmp_path / "m.onnx", precision="int8", limits=LOOSE, calibration=ranges(), **SHORT
    )
    assert report.card.precision == "int8" and report.quantised > 20
    done = report.card.provenance["precision"]
    assert isinstance(done, dict)
    assert done["calibration"]["sha256"] == ranges().sha256  # type: ignore[call-overload,index]
    ops = [node.op_type for node in onnx.load(report.path).graph.node]
    assert ops.count("QuantizeLinear") > 0


def test_a_failed_gate_names_the_node_and_writes_nothing(tmp_path: Path) -> None:
    model, planted = overflowing(demo().model)
    kept = tmp_path / "m.onnx"
    kept.write_bytes(b"an older export")
    spoiled = dataclasses.replace(demo(), model=model)
    with pytest.raises(GateFailure, match=rf"Most is added by {planted}.*Nothing was written"):
        convert(spoiled, kept, precision="fp16", limits=LIMITS["fp16"], **SHORT)
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]
    assert kept.read_bytes() == b"an older export"


def test_the_gate_finds_one_weight_that_was_spoiled() -> None:
    parent = demo().model
    child = to_fp16(parent)
    spoiled = next(n for n in child.graph.node if n.name == "node_conv2d_54")
    weight = next(t for t in child.graph.initializer if t.name == spoiled.input[1])
    values = numpy_helper.to_array(weight)
    weight.CopyFrom(numpy_helper.from_array(values[::-1].copy(), weight.name))
    judge = gate(parent, LIMITS["fp16"])
    verdict = judge.judge(child)
    assert not verdict.passed
    assert judge.worst_nodes(child)[0].name == "node_conv2d_54"


def test_exclusion_finds_the_planted_nodes_and_only_those() -> None:
    model, planted = overflowing(demo().model)
    near = [planted, "planted_down", *named_nodes(model, "dense"), *named_nodes(model, "head")[:3]]
    judge = gate(model, LIMITS["fp16"])
    excluded, child, verdict = find_exclusions(
        judge, lambda kept: to_fp16(model, islands=kept), near
    )
    assert verdict.passed
    assert sorted(excluded) == ["planted_down", "planted_up"]
    assert judge.judge(child).comparison == verdict.comparison


def test_a_stream_that_drifts_is_refused() -> None:
    """A child whose answer depends on how long it has run."""
    child = to_fp16(demo().model)
    verdict = gate(demo().model, LOOSE).judge(_drifting(child))
    assert not verdict.passed
    assert "it grows" in verdict.faults[0] and "over 96 frames" in verdict.faults[0]


def _drifting(model: onnx.ModelProto) -> onnx.ModelProto:
    """Leave the bound off the count of frames, by which the head divides."""
    spoiled = onnx.ModelProto()
    spoiled.CopyFrom(model)
    count = next(n for n in spoiled.graph.node if "next_state_count" in n.output)
    count.op_type = "Identity"
    del count.input[1:]
    return spoiled


def test_accuracy_is_measured_before_and_after(tmp_path: Path) -> None:
    asked: list[Path] = []

    def measure(path: Path) -> float:
        with open_session(path, provider="cpu"):
            asked.append(path)
        return 0.9 if len(asked) == 1 else 0.8

    strict = dataclasses.replace(LOOSE, drop=0.05)
    with pytest.raises(GateFailure, match=r"80\.0% of the sequences right, its parent 90\.0%"):
        convert(
            demo(), tmp_path / "m.onnx", precision="fp16", limits=strict, measure=measure, **SHORT
        )
    assert list(tmp_path.iterdir()) == [] and len(asked) == 2


def test_what_is_no_parent_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    with pytest.raises(InputError, match="no file"):
        read_parent(path)
    path.write_bytes(b"text")
    with pytest.raises(InputError, match="not an ONNX file"):
        read_parent(path)
    model = onnx.ModelProto()
    model.CopyFrom(demo().model)
    card = read_card(model, "x")
    write_card(model, dataclasses.replace(card, precision="fp16", parent_sha256="1" * 64))
    with pytest.raises(InputError, match=r"fp16 already.*1111"):
        as_parent(model, "x")
    write_card(model, card)
    model.opset_import[0].version = 21
    with pytest.raises(InputError, match="not written by this version"):
        as_parent(model, "x")
    del model.metadata_props[:]
    with pytest.raises(InputError, match="no model card"):
        as_parent(model, "x")


def test_an_onnx_file_is_converted_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from effvit_edge.cli.main import main\n"
        f"code = main(['export', {str(DEMO)!r}, '--precision', 'fp16', '-o', 'm.onnx'])\n"
        "assert 'effvit_edge.nn' not in sys.modules\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "same label" in done.stdout and "drift" in done.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx", "m.verify.npz"]


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_tensorrt_rtx_builds_the_demo_model(precision: str, tmp_path: Path) -> None:
    from tests.unit.export.precision.rtx import build

    report = convert(
        demo(),
        tmp_path / "m.onnx",
        precision=precision,  # type: ignore[arg-type]
        limits=LOOSE,
        calibration=ranges() if precision == "int8" else None,
        **SHORT,
    )
    assert build(report.path) > 0
