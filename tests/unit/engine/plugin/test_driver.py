"""Launching cubins: against a driver that runs the kernels on this processor."""

from __future__ import annotations

import ctypes
import dataclasses
import subprocess
from pathlib import Path

import numpy as np
import pytest

from effvit_edge.core.errors import EdgeError, EnvironmentFault
from effvit_edge.engine.plugin.build import KERNELS
from effvit_edge.engine.plugin.driver import CubinKernels
from effvit_edge.engine.plugin.library import SharedLibrary
from effvit_edge.engine.plugin.shape import AttentionShape
from tests.unit.engine.plugin.attending import draw, largest_error, quadratic, run_clip, run_steps

SHAPE = AttentionShape(
    batch=2, frames=4, heads=3, head_dim=16, tokens=150, window=3, eps=1e-5, storage="float32"
)


@pytest.fixture(scope="module")
def driver(host_kernels: SharedLibrary, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("driver") / "libcuda.so.1"
    source = Path(__file__).with_name("fake_driver.cu")
    options = ["-std=c++17", "-O2", "-fPIC", "-shared", f"-I{KERNELS}", "-x", "c++"]
    subprocess.run(["c++", *options, str(source), "-o", str(path)], check=True)
    return str(path)


@pytest.fixture
def kernels(driver: str, tmp_path: Path) -> CubinKernels:
    (tmp_path / "sm_87.cubin").write_bytes(b"cubin")
    return CubinKernels(tmp_path, driver)


@pytest.mark.parametrize("storage", ["float32", "float16"])
@pytest.mark.parametrize("head_dim", [16, 32])
@pytest.mark.parametrize(("causal", "window"), [(True, 3), (True, 1), (False, 4)])
def test_clips_are_as_the_library_computes_them(
    kernels: CubinKernels,
    host_kernels: SharedLibrary,
    storage: str,
    head_dim: int,
    causal: bool,
    window: int,
) -> None:
    sizes = {"storage": storage, "head_dim": head_dim, "causal": causal, "window": window}
    shape = dataclasses.replace(SHAPE, **sizes)
    qkv = draw(0, 8, 3, head_dim, 150)
    assert kernels.workspace_bytes(shape) == host_kernels.workspace_bytes(shape)
    np.testing.assert_array_equal(run_clip(kernels, shape, qkv), run_clip(host_kernels, shape, qkv))


@pytest.mark.parametrize("head_dim", [16, 32])
@pytest.mark.parametrize(
    ("storage", "state"),
    [("float32", "float32"), ("float16", "float32"), ("float16", "float16")],
)
def test_steps_are_as_the_library_computes_them(
    kernels: CubinKernels, host_kernels: SharedLibrary, storage: str, state: str, head_dim: int
) -> None:
    sizes = {"storage": storage, "state_storage": state, "head_dim": head_dim, "frames": 1}
    shape = dataclasses.replace(SHAPE, **sizes)
    qkv = draw(1, 8, 3, head_dim, 150)
    np.testing.assert_array_equal(
        run_steps(kernels, shape, qkv), run_steps(host_kernels, shape, qkv)
    )


def test_many_heads_take_one_slice_each_and_few_take_more(kernels: CubinKernels) -> None:
    for heads in (1, 300):
        shape = dataclasses.replace(SHAPE, heads=heads, batch=1, frames=1, tokens=300)
        qkv = draw(2, 1, heads, 16, 300)
        error = largest_error(run_clip(kernels, shape, qkv), quadratic(shape, qkv), qkv)
        assert error <= 1e-5


def test_the_module_is_loaded_once(kernels: CubinKernels, driver: str) -> None:
    loaded = ctypes.c_int.in_dll(ctypes.CDLL(driver), "fake_modules_loaded")
    before = loaded.value
    for _ in range(3):
        run_clip(kernels, SHAPE, draw(0, 8, 3, 16, 150))
    assert loaded.value == before + 1


def test_no_context_is_an_error(kernels: CubinKernels, driver: str) -> None:
    context = ctypes.c_int.in_dll(ctypes.CDLL(driver), "fake_has_context")
    context.value = 0
    try:
        with pytest.raises(EdgeError, match="cuCtxGetDevice failed with error 201"):
            run_clip(kernels, SHAPE, draw(0, 8, 3, 16, 150))
    finally:
        context.value = 1


def test_a_device_without_a_cubin_is_told(driver: str, tmp_path: Path) -> None:
    (tmp_path / "sm_90.cubin").write_bytes(b"cubin")
    with pytest.raises(EnvironmentFault, match="no attention kernels for sm_87"):
        run_clip(CubinKernels(tmp_path, driver), SHAPE, draw(0, 8, 3, 16, 150))


def test_a_missing_driver_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="driver does not load"):
        CubinKernels(tmp_path, str(tmp_path / "libcuda.so.1"))
