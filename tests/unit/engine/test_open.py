"""The attention plugin: when an engine needs it, and that it is there before the engine is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from effvit_edge.core.errors import EnvironmentFault, IncompatibleArtifact
from effvit_edge.engine import open as opening
from effvit_edge.engine import target
from effvit_edge.engine.plugin import CLIP_OP, DOMAIN
from effvit_edge.engine.plugin.find import PluginReport
from effvit_edge.engine.target import look_at_source
from effvit_edge.runtime.trt_fake import FakeLibrary, FakeMemory
from tests.tiny_models import tiny_card

BUILT = PluginReport(Path("plugin.so"), None, None, "abc")
ABSENT = PluginReport(None, None, None, "abc")


def _graph(path: Path, *, body: bool) -> Path:
    """A node of the project's own domain, with a function that says what it does, or without."""
    node = helper.make_node(CLIP_OP, ["frame"], ["logits"], domain=DOMAIN)
    inputs = [helper.make_tensor_value_info("frame", TensorProto.UINT8, [8, 8, 3])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.UINT8, [8, 8, 3])]
    graph = helper.make_graph([node], "g", inputs, outputs)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(DOMAIN, 1)]
    identity = helper.make_node("Identity", ["x"], ["y"])
    function = helper.make_function(DOMAIN, CLIP_OP, ["x"], ["y"], [identity], opsets)
    functions = [function] if body else []
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10, functions=functions)
    helper.set_model_props(model, {"effvit_edge.card": tiny_card("stream").to_json()})
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("body", "report", "expected"),
    [(False, BUILT, "abc"), (False, ABSENT, None), (True, BUILT, None)],
    ids=["needed", "needed and absent", "not needed"],
)
def test_the_plugin_is_needed_by_a_node_without_a_body(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    body: bool,
    report: PluginReport,
    expected: str | None,
) -> None:
    monkeypatch.setattr(target, "look_for_plugin", lambda: report)
    assert look_at_source(_graph(tmp_path / "m.onnx", body=body)).plugin == expected


def test_the_plugin_is_registered_for_the_engine_that_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registered: list[Any] = []
    kept = object()

    def register(module: Any, report: PluginReport) -> object:
        registered.append((module, report))
        return kept

    monkeypatch.setattr(opening, "look_for_plugin", lambda: BUILT)
    monkeypatch.setattr(opening, "register_plugins", register)
    library = FakeLibrary(FakeMemory(), [], dict)
    assert opening.register_attention(library, "abc") is kept
    assert registered == [(library.module, BUILT)]


def test_a_plugin_that_is_absent_or_another_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    library = FakeLibrary(FakeMemory(), [], dict)
    monkeypatch.setattr(opening, "look_for_plugin", lambda: BUILT)
    with pytest.raises(IncompatibleArtifact, match="plugin old, and this version's is abc"):
        opening.register_attention(library, "old")
    monkeypatch.setattr(opening, "look_for_plugin", lambda: ABSENT)
    with pytest.raises(EnvironmentFault, match="make plugin"):
        opening.register_attention(library, "abc")
