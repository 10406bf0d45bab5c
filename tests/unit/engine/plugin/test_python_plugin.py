"""The plugin in Python, driven through the real classes of several versions of TensorRT."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.engine.plugin import CLIP_OP, DOMAIN, STEP_OP, VERSION
from effvit_edge.engine.plugin.find import PluginReport
from effvit_edge.engine.plugin.library import SharedLibrary
from effvit_edge.engine.plugin.python_plugin import register_plugins

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[3]
# All that the bindings link to; each does nothing.
STUB = "\n".join(
    f"void* {name}(void) {{ return 0; }}"
    for name in (
        "createInferBuilder_INTERNAL",
        "createInferRefitter_INTERNAL",
        "createInferRuntime_INTERNAL",
        "createNvOnnxParserRefitter_INTERNAL",
        "createNvOnnxParser_INTERNAL",
        "getBuilderPluginRegistry",
        "getNvOnnxParserVersion",
        "getPluginRegistry",
        "initLibNvInferPlugins",
    )
)


def _needs(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"no {module}")


def _run(
    script: str, *arguments: str, libraries: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])}
    if libraries is not None:
        environment["LD_LIBRARY_PATH"] = str(libraries)
    return subprocess.run(
        [sys.executable, "-m", f"tests.unit.engine.plugin.{script}", *arguments],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Libraries that the bindings of TensorRT 10 and 11 load instead of TensorRT itself."""
    folder = tmp_path_factory.mktemp("stubs")
    source = folder / "stub.c"
    source.write_text(STUB)
    for library in ("libnvinfer", "libnvinfer_plugin", "libnvonnxparser"):
        for major in (10, 11):
            name = f"{library}.so.{major}"
            command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{name}", str(source)]
            subprocess.run([*command, "-o", str(folder / name)], check=True)
    return folder


def test_tensorrt_rtx_drives_the_plugin(host_kernels: SharedLibrary) -> None:
    _needs("tensorrt_rtx")
    done = _run("bindings_check", "tensorrt_rtx", str(host_kernels.path))
    assert done.returncode == 0, done.stderr


def test_the_bindings_of_tensorrt_drive_the_plugin(
    host_kernels: SharedLibrary, stubs: Path
) -> None:
    _needs("tensorrt_bindings")
    done = _run("bindings_check", "tensorrt_bindings", str(host_kernels.path), libraries=stubs)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split(".")[0]) >= 10


def _model(operator: str, attributes: dict[str, Any], shapes: list[list[int]]) -> bytes:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    names = ["qkv", "ring", "frames_seen"][: len(shapes)]
    outputs = ["out", "next_ring"] if operator == STEP_OP else ["out"]
    node = helper.make_node(
        operator,
        names,
        outputs,
        name="attention",
        domain=DOMAIN,
        plugin_version=VERSION,
        plugin_namespace=DOMAIN,
        **attributes,
    )
    inputs = [helper.make_tensor_value_info(n, kind, s) for n, s in zip(names, shapes, strict=True)]
    answers = [helper.make_tensor_value_info(name, kind, None) for name in outputs]
    graph = helper.make_graph([node], "graph", inputs, answers)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    serialized: bytes = model.SerializeToString()
    return serialized


@pytest.mark.parametrize(
    ("operator", "attributes", "shapes"),
    [
        (CLIP_OP, {"eps": 0.25, "window": 3, "causal": 1, "batch": 2}, [[8, 2, 48, 49]]),
        (STEP_OP, {"eps": 0.25}, [[2, 2, 48, 49], [2, 3, 544], [2, 1, 1, 1]]),
    ],
)
def test_the_parser_asks_for_the_plugin_with_the_nodes_attributes(
    host_kernels: SharedLibrary,
    tmp_path: Path,
    operator: str,
    attributes: dict[str, Any],
    shapes: list[list[int]],
) -> None:
    _needs("tensorrt_rtx")
    path = tmp_path / "model.onnx"
    path.write_bytes(_model(operator, attributes, shapes))
    done = _run("rtx_check", str(path), str(host_kernels.path))
    asked = json.loads(done.stdout)
    assert asked["operator"] == operator
    assert asked["fields"] == {name: [value] for name, value in attributes.items()}


def test_no_operator_of_onnx_has_these_names() -> None:
    defs = pytest.importorskip("onnx.defs")
    assert not {schema.name for schema in defs.get_all_schemas()} & {CLIP_OP, STEP_OP}


class Registry:
    """A registry that takes libraries of both operators, or refuses every one."""

    def __init__(self, *, loads: bool = True) -> None:
        self.loads = loads
        self.loaded: list[str] = []
        self.registered: list[tuple[str, str]] = []

    def load_library(self, path: str) -> object | None:
        self.loaded.append(path)
        if not self.loads or self.registered:
            return None
        self.registered += [(CLIP_OP, DOMAIN), (STEP_OP, DOMAIN)]
        return object()

    def register_creator(self, creator: Any, namespace: str) -> bool:
        self.registered.append((creator.name, namespace))
        return True

    def get_creator(self, name: str, version: str, namespace: str) -> object | None:
        return object() if (name, namespace) in self.registered and version == VERSION else None


def _tensorrt(registry: Registry | None) -> Any:
    class Base:
        pass

    return SimpleNamespace(
        get_plugin_registry=lambda: registry,
        IPluginCreatorV3One=Base,
        PluginField=lambda name, data, kind: SimpleNamespace(name=name, data=data, type=kind),
        PluginFieldCollection=list,
        PluginFieldType=SimpleNamespace(FLOAT32=1, INT32=5),
    )


def test_the_cpp_plugin_is_taken_where_it_is_built(tmp_path: Path) -> None:
    report = PluginReport(tmp_path / "a.so", tmp_path / "b.so", None, "0")
    registry = Registry()
    assert register_plugins(_tensorrt(registry), report) is not None
    assert registry.loaded == [str(tmp_path / "a.so")]


def test_the_python_plugin_is_taken_where_only_the_kernels_are(
    host_kernels: SharedLibrary,
) -> None:
    registry = Registry()
    register_plugins(_tensorrt(registry), PluginReport(None, host_kernels.path, None, "0"))
    assert registry.registered == [(CLIP_OP, DOMAIN), (STEP_OP, DOMAIN)]


def test_a_second_session_of_the_process_finds_the_plugin_there(
    host_kernels: SharedLibrary, tmp_path: Path
) -> None:
    for report in (
        PluginReport(tmp_path / "a.so", None, None, "0"),
        PluginReport(None, host_kernels.path, None, "0"),
    ):
        registry = Registry()
        for _ in range(2):
            assert register_plugins(_tensorrt(registry), report) is not None
        assert registry.registered == [(CLIP_OP, DOMAIN), (STEP_OP, DOMAIN)]


@pytest.mark.parametrize(
    ("registry", "plugin", "message"),
    [
        (Registry(), None, "not built"),
        (None, "a.so", "no plugin registry"),
        (Registry(loads=False), "a.so", r"plugin is a\.so\. TensorRT does not take it"),
    ],
)
def test_what_cannot_be_registered_is_said(
    registry: Registry | None, plugin: str | None, message: str
) -> None:
    report = PluginReport(Path(plugin) if plugin else None, None, None, "0")
    with pytest.raises(EnvironmentFault, match=message):
        register_plugins(_tensorrt(registry), report)
