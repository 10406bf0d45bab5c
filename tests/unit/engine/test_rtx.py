"""A TensorRT that needs no GPU parses and builds the graphs; its wheel is for x86-64 Linux."""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper

from benchmarks.tensorrt_rtx.build import CASES, PASSES, build_case
from effvit_edge.core.card import Precision
from effvit_edge.core.errors import EdgeError, EnvironmentFault, InputError
from effvit_edge.engine import EngineOptions, build_engine, open_engine
from effvit_edge.runtime.sidecar import read_plan, read_sidecar
from tests.tiny_models import tiny_card, write_model
from tests.unit.export.networks import EVERYWHERE, IMAGE, Exported, clip, stream

B1 = "efficientvit3d_b1"
RTX = EngineOptions(flavour="tensorrt_rtx")
DEMO = Path(__file__).resolve().parents[3] / "models" / "demo.onnx"


@pytest.fixture(scope="module")
def trt() -> Any:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("the TensorRT-RTX wheel of the tests is for x86-64 Linux")
    return importlib.import_module("tensorrt_rtx")


@pytest.mark.parametrize(
    "make",
    [
        lambda: stream(),
        lambda: stream(batch=2, window=2, temporal_kernels=EVERYWHERE),
        lambda: stream(IMAGE),
        lambda: stream(B1),
        lambda: clip(),
        lambda: clip(batch=2, causal=True),
        lambda: clip(B1),
    ],
    ids=[
        "b0 stream",
        "b0 cameras",
        "b0 image",
        "b1 stream",
        "b0 clip",
        "b0 clips",
        "b1 clip",
    ],
)
def test_it_parses_and_builds(trt: Any, make: Callable[[], Exported]) -> None:
    proto = make().proto
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    parsed = parser.parse(proto.SerializeToString())
    assert parsed, [parser.get_error(i).desc() for i in range(parser.num_errors)]
    assert network.num_inputs == len(proto.graph.input)
    assert network.num_outputs == len(proto.graph.output)
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    assert plan is not None and plan.nbytes > 0


@pytest.mark.parametrize("precision", ["fp16", "int8"])
@pytest.mark.parametrize(
    "make",
    [lambda: stream(), lambda: clip(), lambda: stream(B1), lambda: clip(B1)],
    ids=["b0 stream", "b0 clip", "b1 stream", "b1 clip"],
)
def test_reduced_graphs_parse_and_build(
    trt: Any, make: Callable[[], Exported], precision: Precision, tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(PASSES[precision](make().proto), path)
    report = build_engine(path, tmp_path / "m.plan", RTX)
    assert report.sidecar.plan_bytes > 0
    assert report.sidecar.tensorrt == trt.__version__


def test_an_engine_from_the_file_to_the_sidecar(trt: Any, tmp_path: Path) -> None:
    told: list[int] = []
    output = tmp_path / "demo.plan"
    report = build_engine(DEMO, output, RTX, progress=lambda phase, percent: told.append(percent))
    sidecar = read_sidecar(output)
    assert report.built
    assert report.sidecar == sidecar
    assert (sidecar.flavour, sidecar.tensorrt) == ("tensorrt_rtx", trt.__version__)
    assert len(read_plan(output, sidecar)) == sidecar.plan_bytes > DEMO.stat().st_size
    assert sidecar.card.labels
    assert told[0] == 0
    assert told[-1] == 100
    assert not build_engine(DEMO, output, RTX).built
    if sidecar.device is None:  # the usual case: no GPU here
        assert "there is no device to run it on" in report.notes[0]
        with pytest.raises(EnvironmentFault, match=r"cuda-bindings|no device"):
            open_engine(output)


def _of_one_node(path: Path, operator: str, domain: str = "") -> Path:
    node = helper.make_node(operator, ["frame"], ["logits"], name="the_node", domain=domain)
    kind = onnx.TensorProto.FLOAT
    inputs = [helper.make_tensor_value_info("frame", kind, [1, 4])]
    outputs = [helper.make_tensor_value_info("logits", kind, [1, 4])]
    graph = helper.make_graph([node], "g", inputs, outputs)
    opsets = [helper.make_opsetid("", 18), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    helper.set_model_props(model, {"effvit_edge.card": tiny_card("stream").to_json()})
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("operator", "domain", "kind", "message"),
    [
        ("Unique", "", InputError, r"does not support the node the_node \(Unique\) of m\.onnx"),
        ("Own", "effvit_edge", EnvironmentFault, r"plugin for its node the_node \(Own\)"),
    ],
)
def test_what_it_does_not_take_is_told(
    trt: Any, tmp_path: Path, operator: str, domain: str, kind: type[EdgeError], message: str
) -> None:
    path = _of_one_node(tmp_path / "m.onnx", operator, domain)
    with pytest.raises(kind, match=message):
        build_engine(path, tmp_path / "m.plan", RTX)
    assert list(tmp_path.iterdir()) == [path]


def test_a_graph_that_lies_about_its_shapes_is_told(trt: Any, tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.onnx", tiny_card("stream"))
    model = onnx.load(path)
    model.graph.node[-1].input[1] = "nothing"
    onnx.save(model, path)
    with pytest.raises(InputError, match="does not support the node"):
        build_engine(path, tmp_path / "m.plan", RTX)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_variant_builds(trt: Any, tmp_path: Path, case: Any) -> None:
    row = build_case(case, tmp_path)
    assert row["plan_bytes"] > 0
