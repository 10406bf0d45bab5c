"""The two libraries for a device's memory, over stand-ins that do as their documents say."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from effvit_edge.core.errors import EdgeError, EnvironmentFault
from effvit_edge.runtime.device_memory import DeviceFacts, DeviceMemory, NoGraph
from effvit_edge.runtime.memory_cuda import CudaBindingsMemory
from effvit_edge.runtime.memory_open import open_device_memory
from effvit_edge.runtime.memory_pycuda import PyCudaMemory
from effvit_edge.runtime.tuning import Waiting
from tests.unit.runtime.cuda_stand_ins import CudaRuntime, PyCuda

ORIN = DeviceFacts("Orin", "8.7", 8, "12.6")


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
    events = module.host.events
    assert events[:3] == [("allocate", address), ("free", address), ("destroy", 7)]
    assert events[3:] in ([], ["detach"])


def _locked(module: Any) -> int:
    return module.locked if isinstance(module.locked, int) else len(module.locked)


def test_memory_of_the_host_is_locked_and_given_back(opened: tuple[Any, DeviceMemory]) -> None:
    module, memory = opened
    buffer = memory.allocate_host(12, mapped=False)
    assert buffer.address is None
    assert (buffer.array.shape, buffer.array.dtype) == ((12,), np.uint8)
    buffer.array[:] = 7
    stream, address = memory.create_stream(), memory.allocate(12)
    memory.upload(address, buffer.array, stream)
    assert module.host.bytes[address : address + 12].tolist() == [7] * 12
    assert _locked(module) == 1
    memory.free_host(buffer)
    assert _locked(module) == 0


def test_memory_that_both_see_has_an_address_on_the_device(
    opened: tuple[Any, DeviceMemory],
) -> None:
    buffer = opened[1].allocate_host(12, mapped=True)
    assert buffer.address == buffer.array.ctypes.data + (1 << 48)
    opened[1].free_host(buffer)
    assert _locked(opened[0]) == 0


@pytest.mark.parametrize("integrated", [0, 1])
def test_an_integrated_device_is_told(integrated: int) -> None:
    assert CudaBindingsMemory(CudaRuntime(integrated=integrated)).integrated == bool(integrated)
    assert PyCudaMemory(PyCuda(integrated=integrated)).integrated == bool(integrated)


def test_another_thread_works_with_the_device_as_well(opened: tuple[Any, DeviceMemory]) -> None:
    module, memory = opened
    stream, address = memory.create_stream(), memory.allocate(4)
    back = np.zeros(4, np.uint8)

    def work() -> None:
        with memory.current():
            memory.upload(address, np.arange(4, dtype=np.uint8), stream)
            memory.download(back, address, stream)
            memory.synchronize(stream)
        if isinstance(module, PyCuda):  # which ends the process where a thread leaves one
            depths.append(module.contexts.depth)

    depths: list[int] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert back.tolist() == [0, 1, 2, 3]
    assert depths in ([], [0])


def test_the_device_of_a_number_is_current_only_within() -> None:
    runtime = CudaRuntime(devices=2)
    memory = CudaBindingsMemory(runtime, 1)
    assert runtime.device == 0
    with memory.current(), memory.current():
        assert runtime.device == 1
    assert runtime.device == 0
    for make in (lambda: CudaBindingsMemory(runtime, 2), lambda: PyCudaMemory(PyCuda(2), 2)):
        with pytest.raises(EnvironmentFault, match="no CUDA device 2: this machine has 2, counted"):
            make()


def test_what_is_captured_is_done_at_each_launch() -> None:
    runtime = CudaRuntime()
    memory = CudaBindingsMemory(runtime)
    stream, address = memory.create_stream(), memory.allocate(2)
    array = np.array([1, 2], np.uint8)
    graph = memory.capture(stream, lambda: memory.upload(address, array, stream))
    assert runtime.host.bytes[address] == 0
    for value in (5, 6):
        array[0] = value
        memory.launch(graph, stream)
        assert runtime.host.bytes[address : address + 2].tolist() == [value, 2]
    assert list(runtime.graphs) == [graph]
    memory.destroy_graph(graph)
    assert runtime.graphs == {}


def _refuse() -> None:
    raise EdgeError("TensorRT could not run the engine: operation not permitted.")


@pytest.mark.parametrize(
    ("forbidden", "work", "told"),
    [
        ("operation not permitted", lambda: None, "cudaStreamEndCapture: operation not permitted"),
        ("capture invalidated", _refuse, "TensorRT could not run the engine"),
        ("", _refuse, "TensorRT could not run the engine"),
    ],
    ids=["by CUDA", "by both", "by TensorRT"],
)
def test_what_cannot_be_captured_leaves_the_stream_usable(
    forbidden: str, work: Any, told: str
) -> None:
    runtime = CudaRuntime()
    memory = CudaBindingsMemory(runtime)
    stream = memory.create_stream()
    runtime.forbidden = forbidden
    with pytest.raises(NoGraph, match=told) as caught:
        memory.capture(stream, work)
    assert not str(caught.value).endswith(".")
    assert runtime.recording is None
    assert runtime.graphs == {}
    assert runtime.host.events[-1] == "forget"


def test_pycuda_captures_nothing_and_says_so() -> None:
    memory = PyCudaMemory(PyCuda())
    with pytest.raises(NoGraph, match="PyCUDA has no graphs"):
        memory.capture(memory.create_stream(), lambda: None)


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


def test_marks_tell_the_devices_time(opened: tuple[Any, DeviceMemory]) -> None:
    _, memory = opened
    stream = memory.create_stream()
    with memory.current():
        begin, end = memory.create_event(), memory.create_event()
        memory.record(begin, stream)
        memory.record(end, stream)
        memory.synchronize(stream)
        assert memory.elapsed(begin, end) == 1.5
        memory.destroy_event(begin)
        memory.destroy_event(end)


def test_captured_marks_are_noted_by_each_launch() -> None:
    runtime = CudaRuntime()
    memory = CudaBindingsMemory(runtime)
    stream = memory.create_stream()
    begin, end = memory.create_event(), memory.create_event()

    def work() -> None:
        memory.record(begin, stream)
        memory.record(end, stream)

    graph = memory.capture(stream, work)
    with pytest.raises(EdgeError, match="cudaEventElapsedTime"):
        memory.elapsed(begin, end)
    memory.launch(graph, stream)
    assert memory.elapsed(begin, end) == 1.5
    memory.record(begin, stream)  # outside of a capture again, where the flag is refused


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), TypeError("of the bindings"), EdgeError("no")]
)
def test_a_capture_ends_whatever_breaks_it_off(error: BaseException) -> None:
    runtime = CudaRuntime()
    memory = CudaBindingsMemory(runtime)
    stream = memory.create_stream()

    def fail() -> None:
        raise error

    with pytest.raises(NoGraph if isinstance(error, EdgeError) else type(error)):
        memory.capture(stream, fail)
    assert runtime.recording is None and runtime.graphs == {}


@pytest.mark.parametrize(("waiting", "flags"), [("spin", 1), ("block", 4)])
def test_the_driver_is_told_how_to_wait(waiting: Waiting, flags: int) -> None:
    runtime = CudaRuntime(devices=2)
    CudaBindingsMemory(runtime, 1, waiting)
    assert (runtime.flags, runtime.host.events) == (flags, [("flags", 1)])
    assert runtime.device == 0  # the thread's own, as before
    untold = CudaRuntime()
    CudaBindingsMemory(untold)
    assert untold.host.events == []


def test_pycuda_cannot_be_told_how_to_wait() -> None:
    with pytest.raises(EnvironmentFault, match=r"PyCUDA cannot be told to spin.*\[tensorrt\]"):
        PyCudaMemory(PyCuda(), 0, "spin")


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
    mode = runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
    # Numbers are taken for addresses, streams and graphs; a device would crash on these.
    runtime.cudaMemcpyAsync(0, 0, 0, kind, 0)
    if runtime.cudaGetDeviceCount()[0] != runtime.cudaError_t.cudaSuccess:
        runtime.cudaStreamBeginCapture(1, mode)
        runtime.cudaStreamEndCapture(1)
        runtime.cudaGraphInstantiate(1, 0)
        runtime.cudaGraphLaunch(1, 1)
        runtime.cudaGraphExecDestroy(1)
        runtime.cudaGraphDestroy(1)
        runtime.cudaHostAlloc(1, runtime.cudaHostAllocMapped)
        runtime.cudaHostGetDevicePointer(1, 0)
        runtime.cudaFreeHost(1)
        runtime.cudaSetDeviceFlags(runtime.cudaDeviceScheduleSpin)
        runtime.cudaEventRecordWithFlags(1, 1, runtime.cudaEventRecordDefault)
        runtime.cudaEventElapsedTime(1, 1)
        runtime.cudaEventDestroy(1)
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
