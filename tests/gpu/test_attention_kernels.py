"""The kernels on a CUDA device against the network's own operators in float64."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from benchmarks.plugin.calls import KernelCall, draw, torch_clip
from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.engine.plugin.build import build_nvcc
from effvit_edge.engine.plugin.driver import CubinKernels
from effvit_edge.engine.plugin.library import Kernels, SharedLibrary
from effvit_edge.engine.plugin.nvrtc import build_nvrtc
from effvit_edge.engine.plugin.shape import AttentionShape

HALF_ULP = 2.0**-11
SHAPE = AttentionShape(batch=2, frames=9, heads=5, head_dim=16, tokens=49, window=4, eps=1e-5)
STORAGES = [("float32", "float32"), ("float16", "float32"), ("float16", "float16")]
SIZES = [
    {"tokens": 1, "frames": 3},
    {"tokens": 196, "heads": 16},
    {"tokens": 129, "head_dim": 32, "heads": 1, "batch": 1},
    {"tokens": 784, "head_dim": 32, "heads": 8},
    {"tokens": 1025, "head_dim": 16, "heads": 2, "batch": 1, "frames": 2, "window": 16},
]

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module", params=["nvcc", "nvrtc"])
def kernels(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    """By each compiler that is here, for the device that is here."""
    folder: Path = tmp_path_factory.mktemp("kernels")
    major, minor = torch.cuda.get_device_capability()
    try:
        if request.param == "nvcc":
            return SharedLibrary(build_nvcc(folder, (10 * major + minor,)).path)
        return CubinKernels(build_nvrtc(folder, (10 * major + minor,)).path)
    except EnvironmentFault as fault:
        pytest.skip(str(fault))


@pytest.fixture(autouse=True)
def device() -> torch.device:
    """The device, with its context made: the driver's API makes none."""
    torch.cuda.init()
    torch.zeros(1, device="cuda")
    return torch.device("cuda")


def _assert_close(got: torch.Tensor, shape: AttentionShape, qkv: torch.Tensor) -> None:
    expected = torch_clip(shape, qkv.double())
    allowed = 1e-5 * qkv[:, :, 2 * shape.head_dim :].double().abs().max()
    if shape.storage == "float16":
        allowed = allowed + HALF_ULP * expected.abs()
    assert bool(((got.double() - expected).abs() <= allowed).all())


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("storage", ["float32", "float16"])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("sigma", [0.05, 1.0, 32.0])
def test_clips_are_what_torch_computes(
    kernels: Kernels,
    device: torch.device,
    sizes: dict[str, int],
    storage: str,
    causal: bool,
    sigma: float,
) -> None:
    shape = dataclasses.replace(SHAPE, **{**sizes, "storage": storage, "causal": causal})
    if not causal:
        shape = dataclasses.replace(shape, window=shape.frames)
    call = KernelCall(kernels, shape, draw(shape, device, sigma), step=False)
    call()
    _assert_close(call.out, shape, call.qkv)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize(("storage", "state"), STORAGES)
def test_steps_over_a_sequence_are_the_clip(
    kernels: Kernels, device: torch.device, sizes: dict[str, int], storage: str, state: str
) -> None:
    changes = {**sizes, "storage": storage, "state_storage": state}
    shape = dataclasses.replace(SHAPE, **changes)
    qkv = draw(shape, device)
    frames = qkv.reshape(shape.frames, shape.batch, *qkv.shape[1:])
    call = KernelCall(kernels, dataclasses.replace(shape, frames=1), frames[0], step=True)
    answers = []
    for time, frame in enumerate(frames):
        call.qkv.copy_(frame)
        call.frames_seen.fill_(min(time + 1, shape.window))
        call()
        answers.append(call.out.clone())
    got = torch.cat(answers)
    if state == "float32":
        _assert_close(got, shape, qkv)
        return
    # the ring rounds every summary
    expected = torch_clip(shape, qkv.double())
    assert float((got.double() - expected).norm() / expected.norm()) <= 5e-4


@pytest.mark.parametrize(("storage", "state"), STORAGES)
def test_zeros_give_zeros(kernels: Kernels, device: torch.device, storage: str, state: str) -> None:
    shape = dataclasses.replace(SHAPE, storage=storage, state_storage=state, eps=1e-15)
    one = dataclasses.replace(shape, frames=1)
    for step, of in ((False, shape), (True, one)):
        call = KernelCall(kernels, of, draw(of, device) * 0, step=step)
        call()
        assert not bool(call.out.any())


def test_a_captured_graph_gives_the_same(kernels: Kernels, device: torch.device) -> None:
    call = KernelCall(kernels, SHAPE, draw(SHAPE, device), step=False)
    call()  # loads the module, which no capture may do
    expected = call.out.clone()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    call.out.fill_(torch.nan)
    graph.replay()
    torch.testing.assert_close(call.out, expected, rtol=0, atol=0)


def test_another_stream_is_waited_for(kernels: Kernels, device: torch.device) -> None:
    call = KernelCall(kernels, SHAPE, draw(SHAPE, device), step=False)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        call()
    stream.synchronize()
    _assert_close(call.out, SHAPE, call.qkv)
