"""What is asked of TensorRT exists in every version that is supported.

The stand-in, which the builder and the session's library are driven over, has no name that a
version lacks: so these tests and those together hold the code to the bindings. The names of three
versions are recorded in ``surfaces``; records are held to the bindings wherever those import.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.engine.surface import read_surface

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
RECORDS = sorted((HERE / "surfaces").glob("*.json"))
BEHIND = {  # classes that TensorRT makes itself: their names in the stand-in
    "_Config": "IBuilderConfig",
    "_Network": "INetworkDefinition",
    "_ParserError": "ParserError",
    "_Cache": "ITimingCache",
    "_Engine": "ICudaEngine",
    "_Context": "IExecutionContext",
}
LOOKED_FOR = {"BuilderFlag": {"FP16", "INT8"}}  # and done without where they are absent
LIBRARIES = ("libnvinfer", "libnvinfer_plugin", "libnvonnxparser")
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


def _used(stand_in: ModuleType) -> dict[str, set[str]]:
    """The names the stand-in has, by the class of the bindings."""
    used: dict[str, set[str]] = {}
    for name, kind in vars(stand_in).items():
        if isinstance(kind, type) and kind.__module__ == stand_in.__name__:
            public = BEHIND.get(name, name)
            if not public.startswith("_"):
                used[public] = {n for n in vars(kind) if not n.startswith("_")}
    return used


def _missing(stand_in: ModuleType, surface: dict[str, list[str]]) -> list[str]:
    missing = [] if "nptype" in surface[""] else ["nptype"]
    for kind, names in _used(stand_in).items():
        absent = names - set(surface[kind]) - LOOKED_FOR.get(kind, set())
        missing += [f"{kind}.{name}" for name in sorted(absent)]
        if kind not in surface[""]:
            missing.append(kind)
    return missing


def test_the_stand_in_has_the_classes_that_are_used(tensorrt: ModuleType) -> None:
    used = _used(tensorrt)
    assert set(BEHIND.values()) <= used.keys()
    assert used["IExecutionContext"] == {"set_tensor_address", "execute_async_v3", "profiler"}


@pytest.mark.parametrize("record", RECORDS, ids=[path.stem for path in RECORDS])
def test_every_supported_version_has_what_is_used(tensorrt: ModuleType, record: Path) -> None:
    found = json.loads(record.read_text())
    assert found["version"] == record.stem
    assert _missing(tensorrt, found["names"]) == []


def test_three_versions_are_recorded() -> None:
    assert [record.stem for record in RECORDS] == ["10.16.1.11", "10.3.0", "11.4.0.106"]


def test_names_that_a_version_lacks_are_seen(tensorrt: ModuleType) -> None:
    surface = json.loads(RECORDS[0].read_text())["names"]
    surface["ICudaEngine"].remove("get_tensor_mode")
    assert _missing(tensorrt, surface) == ["ICudaEngine.get_tensor_mode"]


def test_tensorrt_rtx_has_what_is_used(tensorrt: ModuleType, stubs: Path) -> None:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("the TensorRT-RTX wheel of the tests is for x86-64 Linux")
    rtx = importlib.import_module("tensorrt_rtx")
    assert _missing(tensorrt, read_surface(rtx)) == []
    assert _run("drive_bindings", "tensorrt_rtx", stubs) == rtx.__version__


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Libraries that the bindings load instead of TensorRT's; their functions do nothing."""
    folder = tmp_path_factory.mktemp("stubs")
    source = folder / "stub.c"
    source.write_text(STUB)
    for library in LIBRARIES:
        for major in (10, 11):
            name = f"{library}.so.{major}"
            command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{name}", str(source)]
            subprocess.run([*command, "-o", str(folder / name)], check=True)
    return folder


def _run(script: str, module: str, stubs: Path, *paths: Path) -> str:
    """Run a script over the bindings on a path, in a process of its own."""
    search = os.pathsep.join(str(path) for path in (*paths, REPOSITORY))
    done = subprocess.run(
        [sys.executable, "-m", f"tests.unit.engine.{script}", module],
        env={**os.environ, "PYTHONPATH": search, "LD_LIBRARY_PATH": str(stubs)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _hold_to_record(stubs: Path, *paths: Path) -> str:
    """See that bindings are as recorded and that the project's classes work over them."""
    found = json.loads(_run("surface", "tensorrt_bindings", stubs, *paths))
    record = HERE / "surfaces" / f"{found['version']}.json"
    assert found == json.loads(record.read_text())
    assert _run("drive_bindings", "tensorrt_bindings", stubs, *paths) == found["version"]
    return record.stem


def test_the_bindings_that_are_installed_are_as_recorded(stubs: Path) -> None:
    if importlib.util.find_spec("tensorrt_bindings") is None:
        pytest.skip("no bindings of TensorRT are installed")
    assert _hold_to_record(stubs) in {path.stem for path in RECORDS}


@pytest.mark.slow
@pytest.mark.parametrize("record", RECORDS, ids=[path.stem for path in RECORDS])
def test_the_records_are_those_of_the_published_bindings(
    stubs: Path, tmp_path: Path, record: Path
) -> None:
    """Downloads a wheel of 1 MB from the package index, without installing it."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("the bindings' wheels of this test are for x86-64 Linux")
    wanted = f"tensorrt-cu12-bindings=={record.stem}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(tmp_path)]
    subprocess.run([*command, "--only-binary", ":all:", wanted], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "unpacked")
    assert _hold_to_record(stubs, tmp_path / "unpacked") == record.stem
