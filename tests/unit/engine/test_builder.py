"""What the builder asks of TensorRT, in which order, and how it tells what went wrong."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from effvit_edge.engine.builder import Phases, TensorRTBuilder
from effvit_edge.engine.faults import BuildFault, explain, explain_exit
from effvit_edge.engine.options import EngineOptions
from tests.tiny_models import tiny_card, write_model


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    return write_model(tmp_path / "m.onnx", tiny_card("stream"))


def _nothing(phase: str, share: float) -> None:
    pass


def _built(trt: ModuleType, onnx: Path, options: EngineOptions, timings: bytes | None) -> bytes:
    builder = TensorRTBuilder(trt, weak=options.weak_precision is not None)
    builder.parse(onnx)
    builder.configure(options, timings, _nothing)
    plan = builder.build()
    builder.close()
    builder.close()
    return plan


def test_a_build_from_parsing_to_letting_go(tensorrt: ModuleType, onnx: Path) -> None:
    plan = _built(tensorrt, onnx, EngineOptions(), None)
    assert plan == b"ftrt" + onnx.read_bytes()
    assert tensorrt.EVENTS == [
        ("network", 1 << 1),  # strongly typed: precision is the file's
        "parse",
        ("workspace", 0, 1 << 30),
        ("build", 3),
        "release _Config",
        "release OnnxParser",
        "release _Network",
        "release Builder",
    ]


def test_options_reach_the_builder(tensorrt: ModuleType, onnx: Path) -> None:
    options = EngineOptions(workspace_mib=256, optimization_level=5, tf32=False)
    _built(tensorrt, onnx, options, b"old")
    assert ("workspace", 0, 256 << 20) in tensorrt.EVENTS
    assert ("build", 5) in tensorrt.EVENTS
    assert ("clear", tensorrt.BuilderFlag.TF32) in tensorrt.EVENTS
    assert ("timings", b"old", False) in tensorrt.EVENTS


def test_timings_come_back_after_a_build(tensorrt: ModuleType, onnx: Path) -> None:
    builder = TensorRTBuilder(tensorrt)
    builder.parse(onnx)
    builder.configure(EngineOptions(), b"old", _nothing)
    builder.build()
    assert builder.timings() == b"old+"
    builder.configure(EngineOptions(), None, _nothing)
    assert builder.timings() is None


@pytest.mark.parametrize("timings", [b"damaged", b"another device's"])
def test_timings_that_are_of_no_use_are_begun_anew(
    tensorrt: ModuleType, onnx: Path, timings: bytes
) -> None:
    _built(tensorrt, onnx, EngineOptions(), timings)
    assert ("timings", b"", False) in tensorrt.EVENTS


@pytest.mark.parametrize(("precision", "flags"), [("fp16", [1]), ("int8", [1, 2])])
def test_weak_precision_is_for_versions_that_have_it(
    tensorrt: ModuleType, onnx: Path, precision: Any, flags: list[int]
) -> None:
    options = EngineOptions(weak_precision=precision)
    _built(tensorrt, onnx, options, None)
    assert ("network", 0) in tensorrt.EVENTS
    assert [e[1] for e in tensorrt.EVENTS if e[0] == "set"] == flags
    del tensorrt.BuilderFlag.FP16  # as in 11
    with pytest.raises(BuildFault, match=f"Export the ONNX file with --precision {precision}"):
        _built(tensorrt, onnx, options, None)


def test_where_all_networks_are_strongly_typed_no_flag_is_needed(
    tensorrt: ModuleType, onnx: Path
) -> None:
    del tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
    _built(tensorrt, onnx, EngineOptions(), None)
    assert tensorrt.EVENTS[0] == ("network", 0)


PLUGIN = 'creator && "Plugin not found, are the plugin name, version, and namespace correct?"'
FAILURES = {
    "start|CUDA initialization failure with error: 35": ("device", "error: 35", ""),
    f"parse|INVALID_NODE|{PLUGIN}|attention|ReluLinearAttention3d": (
        "plugin",
        "Plugin not found",
        "attention (ReluLinearAttention3d)",
    ),
    "parse|UNSUPPORTED_NODE|false|node_7|Unique": ("node", "UNSUPPORTED_NODE", "node_7 (Unique)"),
    "parse|UNSUPPORTED_NODE|false||Unique": ("node", "", "without a name (Unique)"),
    "parse|MODEL_DESERIALIZE_FAILED|Failed to parse the ONNX model.||": ("graph", "parse", ""),
    "parse|MEM_ALLOC_FAILED|no memory||": ("memory", "no memory", ""),
    "build|[virtualMemoryBuffer.cpp] OutOfMemory (no further information)": (
        "memory",
        "OutOfMemory",
        "",
    ),
    "build|NvMapMemAllocInternalTagged: 1075072515 error 12": ("memory", "NvMap", ""),
    "build|Error Code 10: Could not find any implementation for node conv_3.": (
        "node",
        "no implementation",
        "conv_3",
    ),
    "build|an internal error": ("build", "an internal error", ""),
}


@pytest.mark.parametrize("words", FAILURES)
def test_failures_are_told_apart(
    tensorrt: ModuleType, onnx: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    kind, text, node = FAILURES[words]
    monkeypatch.setenv("STAND_IN", words)
    with pytest.raises(BuildFault) as caught:
        _built(tensorrt, onnx, EngineOptions(), None)
    assert (caught.value.kind, caught.value.node) == (kind, node)
    assert text in caught.value.text
    assert "warning" not in caught.value.text


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (BuildFault("library", "Install it."), 3, "Install it."),
        (BuildFault("device", "error 35"), 3, "TensorRT 10.3.0 finds no device"),
        (BuildFault("memory", "OutOfMemory"), 1, "less than 512 MiB of workspace"),
        (BuildFault("plugin", "not found", "a (Op)"), 3, "make plugin, or export with --attention"),
        (BuildFault("node", "false", "a (Op)"), 2, "does not support the node a (Op) of m.onnx"),
        (BuildFault("graph", "bad"), 2, "cannot read m.onnx: bad. Export"),
        (BuildFault("disk", "no space left on device: x"), 1, "could not be written: no space"),
        (BuildFault("build", "internal"), 1, "could not build an engine of m.onnx: internal."),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_each_failure_has_its_sentence_and_its_exit_code(
    fault: BuildFault, code: int, said: str
) -> None:
    error = explain(fault, "m.onnx", "TensorRT 10.3.0", 512)
    assert said in str(error)
    assert error.exit_code == code


def test_a_process_that_ended_without_a_word_is_explained() -> None:
    killed = explain_exit(-9, "", "m.onnx", 512)
    assert "The system killed the build of m.onnx" in str(killed)
    assert "swap" in str(killed)
    crashed = explain_exit(-6, "first\nterminate called\n", "m.onnx", 512)
    assert str(crashed) == "The build of m.onnx crashed with signal 6: terminate called."
    assert "status 3: it said nothing" in str(explain_exit(3, "", "m.onnx", 512))


def test_nested_phases_are_one_share_of_the_outermost() -> None:
    told: list[tuple[str, float]] = []
    phases = Phases(lambda phase, share: told.append((phase, share)))
    phases.start("all", None, 2)
    phases.start("half", "all", 4)
    phases.complete("half", 1)
    phases.finish("half")
    phases.complete("all", 0)
    phases.finish("all")
    phases.complete("all", 1)  # of a phase that is over: nothing
    phases.finish("all")
    assert told == [("all", 0), ("all", 0), ("all", 0.25), ("all", 0.5), ("all", 0.5), ("all", 1)]


@pytest.mark.parametrize("options", [{"workspace_mib": 0}, {"optimization_level": 6}])
def test_options_without_a_meaning_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(Exception, match="got"):
        EngineOptions(**options)
