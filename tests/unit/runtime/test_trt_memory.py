"""The two libraries for a device's memory, over stand-ins that do as their documents say."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from effvit_edge.core.errors import EdgeError, EnvironmentFault
from effvit_edge.runtime.device_memory import (
    CudaBindingsMemory,
    DeviceFacts,
    DeviceMemory,
    PyCudaMemory,
    open_device_memory,
)

ORIN = DeviceFacts("Orin", "8.7", 8, "12.6")


class Host:
    """Memory for both stand-ins: addresses into one array of the host."""

    def __init__(self, size: int = 1 << 12) -> None:
        self.bytes = np.zeros(size, np.uint8)
        self.next = 256
        self.events: list[Any] = []

    def allocate(self, size: int) -> int:
        address, self.next = self.next, self.next + size
        self.events.append(("allocate", address))
        return address


class CudaRuntime:
    """``cuda.bindings.runtime``: every call answers a tuple that begins with a status."""

    cudaError_t = SimpleNamespace(cudaSuccess=0)
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaDeviceAttr = SimpleNamespace(
        cudaDevAttrComputeCapabilityMajor=75,
        cudaDevAttrComputeCapabilityMinor=76,
        cudaDevAttrMultiProcessorCount=16,
    )

    def __init__(self, devices: int = 1) -> None:
        self.host = Host()
        self.devices = devices
        self.fails: dict[str, str] = {}

    def __getattribute__(self, name: str) -> Any:
        fails = object.__getattribute__(self, "__dict__").get("fails", {})
        return (lambda *_: (2,)) if name in fails else object.__getattribute__(self, name)

    def cudaGetErrorString(self, status: int) -> Any:
        return 0, next(iter(self.fails.values())).encode()

    def cudaGetDeviceCount(self) -> Any:
        return 0, self.devices

    def cudaGetDevice(self) -> Any:
        return 0, 0

    def cudaDeviceGetAttribute(self, attribute: int, device: int) -> Any:
        return 0, {75: 8, 76: 7, 16: 8}[attribute]

    def cudaGetDeviceProperties(self, device: int) -> Any:
        return 0, SimpleNamespace(name=b"Orin" + bytes(252))

    def cudaRuntimeGetVersion(self) -> Any:
        return 0, 12060

    def cudaStreamCreate(self) -> Any:
        return 0, 7

    def cudaStreamDestroy(self, stream: int) -> Any:
        self.host.events.append(("destroy", stream))
        return (0,)

    def cudaMalloc(self, size: int) -> Any:
        return 0, self.host.allocate(size)

    def cudaFree(self, address: int) -> Any:
        self.host.events.append(("free", address))
        return (0,)

    def cudaMemcpyAsync(self, target: int, source: int, size: int, kind: int, stream: int) -> Any:
        base = self.host.bytes.ctypes.data
        if kind == 1:
            ctypes.memmove(base + target, source, size)
        else:
            ctypes.memmove(target, base + source, size)
        assert stream == 7
        return (0,)

    def cudaStreamSynchronize(self, stream: int) -> Any:
        self.host.events.append(("synchronize", stream))
        return (0,)


class PyCuda:
    """``pycuda.driver``: objects for addresses and streams, errors as exceptions."""

    class Error(Exception):
        pass

    class MemoryError(Error):
        pass

    device_attribute = SimpleNamespace(MULTIPROCESSOR_COUNT=16)

    def __init__(self, devices: int = 1) -> None:
        self.host = host = Host()
        self.fails: dict[str, Exception] = {}
        self.devices = devices

        class Stream:
            handle = 7

            def synchronize(self) -> None:
                host.events.append(("synchronize", 7))

            def __del__(self) -> None:
                host.events.append(("destroy", 7))

        self.Stream = Stream

    def init(self) -> None:
        if not self.devices:
            raise self.Error("cuInit failed: no CUDA-capable device is detected")

    def Device(self, number: int) -> Any:
        context = SimpleNamespace(
            push=lambda: self.host.events.append("push"),
            pop=lambda: self.host.events.append("pop"),
            detach=lambda: self.host.events.append("detach"),
        )
        return SimpleNamespace(
            name=lambda: "Orin",
            compute_capability=lambda: (8, 7),
            get_attribute=lambda attribute: {16: 8}[attribute],
            retain_primary_context=lambda: context,
        )

    def get_version(self) -> tuple[int, int]:
        return 12, 6

    def mem_alloc(self, size: int) -> Any:
        if "mem_alloc" in self.fails:
            raise self.fails["mem_alloc"]
        host, address = self.host, self.host.allocate(size)

        class Allocation:
            def __int__(self) -> int:
                return address

            def free(self) -> None:
                host.events.append(("free", address))

        return Allocation()

    def memcpy_htod_async(self, target: int, source: np.ndarray, stream: Any) -> None:
        self.host.bytes[target : target + source.nbytes] = np.frombuffer(source, np.uint8)

    def memcpy_dtoh_async(self, target: np.ndarray, source: int, stream: Any) -> None:
        raw = self.host.bytes[source : source + target.nbytes].tobytes()
        target[...] = np.frombuffer(raw, target.dtype).reshape(target.shape)


@pytest.fixture(params=[(CudaRuntime, CudaBindingsMemory), (PyCuda, PyCudaMemory)], ids=str)
def opened(request: pytest.FixtureRequest) -> tuple[Any, DeviceMemory]:
    stand_in, implementation = request.param
    module = stand_in()
    return module, implementation(module)


def test_what_an_engine_depends_on_is_told(opened: tuple[Any, DeviceMemory]) -> None:
    assert opened[1].facts() == ORIN
    assert str(ORIN) == "Orin (compute 8.7, 8 SMs)"


def test_arrays_go_to_the_device_and_come_back(opened: tuple[Any, DeviceMemory]) -> None:
    _, memory = opened
    stream = memory.create_stream()
    arrays = [np.arange(12, dtype=np.float32).reshape(3, 4), np.ones((2, 5), np.uint8)]
    addresses = [memory.allocate(array.nbytes) for array in arrays]
    for address, array in zip(addresses, arrays, strict=True):
        memory.upload(address, array, stream)
    for address, array in zip(addresses, arrays, strict=True):
        back = np.empty_like(array)
        memory.download(back, address, stream)
        memory.synchronize(stream)
        np.testing.assert_array_equal(back, array)


def test_what_was_taken_is_given_back(opened: tuple[Any, DeviceMemory]) -> None:
    module, memory = opened
    stream, address = memory.create_stream(), memory.allocate(8)
    memory.free(address)
    memory.destroy_stream(stream)
    memory.close()
    memory.close()
    events = [event for event in module.host.events if event != "push"]
    assert events[:3] == [("allocate", address), ("free", address), ("destroy", 7)]
    assert events[3:] in ([], ["pop", "detach"])


def test_cuda_says_when_memory_is_out() -> None:
    runtime = CudaRuntime()
    memory = CudaBindingsMemory(runtime)
    runtime.fails["cudaMalloc"] = "out of memory"
    with pytest.raises(EdgeError, match=r"out of memory \(cudaMalloc\).*Jetson"):
        memory.allocate(1)
    runtime.fails = {"cudaFree": "an illegal memory access was encountered"}
    with pytest.raises(EdgeError, match="CUDA failed in cudaFree: an illegal memory access"):
        memory.free(1)


def test_pycuda_says_when_memory_is_out() -> None:
    driver = PyCuda()
    memory = PyCudaMemory(driver)
    driver.fails["mem_alloc"] = PyCuda.MemoryError("cuMemAlloc failed: out of memory")
    with pytest.raises(EdgeError, match=r"out of memory \(cuMemAlloc\)"):
        memory.allocate(1)
    driver.fails["mem_alloc"] = PyCuda.Error("cuMemAlloc failed: invalid context")
    with pytest.raises(EdgeError, match="CUDA failed in cuMemAlloc"):
        memory.allocate(1)


def test_a_machine_without_a_device_is_told() -> None:
    driverless = CudaRuntime()
    driverless.fails["cudaGetDeviceCount"] = "CUDA driver version is insufficient"
    for make in (
        lambda: CudaBindingsMemory(CudaRuntime(devices=0)),
        lambda: CudaBindingsMemory(driverless),
        lambda: PyCudaMemory(PyCuda(devices=0)),
    ):
        with pytest.raises(EnvironmentFault, match="CUDA finds no device on this machine"):
            make()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    def install(**modules: Any) -> None:
        for name, module in modules.items():
            package, _, leaf = name.replace("__", ".").rpartition(".")
            for parent in ("cuda", "cuda.bindings") if package.startswith("cuda.") else (package,):
                made = None if module is None else ModuleType(parent)
                monkeypatch.setitem(sys.modules, parent, made)
            monkeypatch.setitem(sys.modules, f"{package}.{leaf}", module)

    return install


def test_the_library_that_is_installed_is_taken(installed: Any) -> None:
    installed(cuda__bindings__runtime=CudaRuntime(), pycuda__driver=PyCuda())
    assert open_device_memory().library == "cuda-bindings"
    installed(cuda__bindings__runtime=None, pycuda__driver=PyCuda())
    assert open_device_memory().library == "PyCUDA"
    installed(cuda__bindings__runtime=None, pycuda__driver=None)
    with pytest.raises(EnvironmentFault, match=r"neither cuda-bindings nor PyCUDA.*\[tensorrt\]"):
        open_device_memory()


def test_the_bindings_that_are_installed_have_what_is_used() -> None:
    """Called as the project calls them; without a device every call answers why there is none."""
    if importlib.util.find_spec("cuda") is None:
        pytest.skip("cuda-bindings is not installed")
    runtime = importlib.import_module("cuda.bindings.runtime")
    kind = runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
    runtime.cudaMemcpyAsync(0, 0, 0, kind, 0)  # takes numbers for addresses and streams
    assert hasattr(runtime.cudaDeviceProp(), "name")
    used = {name for name in vars(CudaRuntime) if name.startswith("cuda")}
    assert all(hasattr(runtime, name) for name in used)
    for name in vars(CudaRuntime.cudaDeviceAttr):
        assert hasattr(runtime.cudaDeviceAttr, name)
    status, count = runtime.cudaGetDeviceCount()
    if status == runtime.cudaError_t.cudaSuccess and count:
        assert CudaBindingsMemory(runtime).facts().multiprocessors > 0
    else:
        with pytest.raises(EnvironmentFault, match="CUDA finds no device"):
            CudaBindingsMemory(runtime)
