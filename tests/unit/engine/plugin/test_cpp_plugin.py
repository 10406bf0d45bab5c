"""The plugin in C++, where TensorRT's public headers are: driven on this processor, and loaded."""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effvit_edge.engine.plugin import CLIP_OP, DOMAIN, STEP_OP
from effvit_edge.engine.plugin.build import CPP, KERNELS, build_plugin, find_tensorrt_headers
from effvit_edge.engine.plugin.library import SharedLibrary
from effvit_edge.engine.plugin.shape import AttentionShape
from tests.unit.engine.plugin.attending import draw, run_clip, run_step

REFUSED_BY_THE_CREATOR, REFUSED_SHAPES = 2, 8
CUDA_HEADERS = Path("/usr/local/cuda/include")
SHAPE = AttentionShape(batch=2, frames=4, heads=3, head_dim=16, tokens=49, window=3, eps=1e-5)


@pytest.fixture(scope="module")
def headers() -> Path:
    """The folder of NvInfer.h; TENSORRT_ROOT names one that was unpacked anywhere."""
    found = find_tensorrt_headers()
    if found is None or not (CUDA_HEADERS / "cuda_runtime_api.h").is_file():
        pytest.skip("TensorRT's headers, or CUDA's, are not here")
    return found


@pytest.fixture(scope="module")
def plugin(headers: Path, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    path = tmp_path_factory.mktemp("plugin") / "driven.so"
    folders = ["-isystem", str(headers), "-isystem", str(CUDA_HEADERS), f"-I{KERNELS}"]
    sources = [str(CPP / "plugin.cpp"), str(Path(__file__).with_name("cpp_check.cpp"))]
    options = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
    host = ["-x", "c++", str(KERNELS / "api.cu")]
    subprocess.run(["c++", *options, *folders, *sources, *host, "-o", str(path)], check=True)
    return ctypes.CDLL(str(path))


def _drive(
    plugin: ctypes.CDLL,
    operator: str,
    inputs: list[Any],
    outputs: list[Any],
    *,
    window: int = 0,
    causal: bool = True,
    batch: int = 1,
    with_window: bool = True,
) -> int:
    arrays = [*inputs, *outputs]
    dims = [size for array in arrays for size in array.shape]
    status: int = plugin.drive(
        operator.encode(),
        ctypes.c_float(SHAPE.eps),
        window,
        int(causal),
        batch,
        int(with_window),
        len(inputs),
        len(outputs),
        (ctypes.c_int32 * len(arrays))(*(array.ndim for array in arrays)),
        (ctypes.c_int64 * len(dims))(*dims),
        (ctypes.c_int32 * len(arrays))(*(array.dtype == np.float16 for array in arrays)),
        (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays)),
    )
    return status


@pytest.mark.parametrize("storage", ["float32", "float16"])
@pytest.mark.parametrize(("causal", "window"), [(True, 3), (True, 1), (False, 4)])
def test_a_clip_is_what_the_kernels_compute(
    plugin: ctypes.CDLL, host_kernels: SharedLibrary, storage: str, causal: bool, window: int
) -> None:
    sizes = {"storage": storage, "causal": causal, "window": window}
    qkv = draw(0, 8, 3, 16, 49).astype(storage)
    out = np.full((8, 3, 16, 49), np.nan, storage)
    options = {"window": window, "causal": causal, "batch": 2, "with_window": causal}
    assert _drive(plugin, CLIP_OP, [qkv], [out], **options) == 0
    shape = AttentionShape(**{**vars(SHAPE), **sizes})
    np.testing.assert_array_equal(out, run_clip(host_kernels, shape, qkv))


@pytest.mark.parametrize(
    ("storage", "state"),
    [("float32", "float32"), ("float16", "float32"), ("float16", "float16")],
)
def test_a_step_is_what_the_kernels_compute(
    plugin: ctypes.CDLL, host_kernels: SharedLibrary, storage: str, state: str
) -> None:
    sizes = {"storage": storage, "state_storage": state, "frames": 1}
    shape = AttentionShape(**{**vars(SHAPE), **sizes})
    qkv = draw(1, 2, 3, 16, 49).astype(storage)
    ring = np.abs(draw(2, 2, 2, 16, 17)).reshape(-1)[: np.prod(shape.ring)]
    ring = ring.reshape(shape.ring).astype(state)
    seen = np.full((2, 1, 1, 1), 3, state)
    out, after = np.full((2, 3, 16, 49), np.nan, storage), np.full_like(ring, np.nan)
    assert _drive(plugin, STEP_OP, [qkv, ring, seen], [out, after]) == 0
    expected, expected_after = run_step(host_kernels, shape, qkv, ring, 3, in_place=False)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(after, expected_after)


def test_what_does_not_fit_is_refused(plugin: ctypes.CDLL) -> None:
    qkv, out = draw(0, 7, 3, 16, 49), np.zeros((7, 3, 16, 49), np.float32)
    assert _drive(plugin, CLIP_OP, [qkv], [out], window=3, batch=2) == REFUSED_SHAPES
    assert _drive(plugin, CLIP_OP, [qkv], [out], window=0) == REFUSED_SHAPES
    assert _drive(plugin, CLIP_OP, [qkv], [out], with_window=False) == REFUSED_BY_THE_CREATOR
    ring, seen = np.zeros((7, 2, 272), np.float32), np.ones((7, 1, 1, 1), np.float32)
    answers = [out, np.zeros_like(ring)]
    assert _drive(plugin, STEP_OP, [qkv, ring, seen], answers) == REFUSED_SHAPES


def test_types_that_do_not_go_together_are_refused(plugin: ctypes.CDLL) -> None:
    qkv, out = draw(0, 4, 3, 16, 49), np.zeros((4, 3, 16, 49), np.float16)
    assert _drive(plugin, CLIP_OP, [qkv], [out], window=3) == 11  # the second tensor
    ring, seen = np.zeros((4, 2, 816), np.float16), np.ones((4, 1, 1, 1), np.float16)
    answers = [out.astype(np.float32), np.zeros_like(ring)]
    assert _drive(plugin, STEP_OP, [qkv, ring, seen], answers) == 11


LOAD = """
import json, sys, tensorrt_rtx
registry = tensorrt_rtx.get_plugin_registry()
assert registry.load_library(sys.argv[1]) is not None
print(json.dumps([[c.name, c.plugin_version, c.plugin_namespace, [f.name for f in c.field_names]]
                  for c in registry.all_creators if c.plugin_namespace == sys.argv[2]]))
"""


@pytest.mark.slow
def test_a_registry_loads_the_library(headers: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("tensorrt_rtx") is None:
        pytest.skip("no TensorRT-RTX")
    built = build_plugin(tmp_path, headers, (87,))
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(built.path), DOMAIN],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [
        [CLIP_OP, "1", DOMAIN, ["eps", "window", "causal", "batch"]],
        [STEP_OP, "1", DOMAIN, ["eps"]],
    ]
