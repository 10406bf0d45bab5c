"""Engines on a CUDA device: the device's memory, and TensorRT's answers against ONNX Runtime's."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

import numpy as np
import pytest

from effvit_edge.core.limits import LIMITS
from effvit_edge.engine import EngineOptions, build_engine, open_engine
from effvit_edge.runtime import Session, State, Tuning, open_session
from effvit_edge.runtime.memory_open import open_device_memory
from effvit_edge.runtime.trt_library import FLAVOURS, Flavour

pytestmark = pytest.mark.gpu
DEMO = Path(__file__).resolve().parents[2] / "models" / "demo.onnx"


def _needs(*modules: str) -> None:
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"no {module}")


def test_arrays_go_to_the_device_and_come_back() -> None:
    _needs("cuda")
    memory = open_device_memory()
    assert memory.facts().multiprocessors > 0
    stream = memory.create_stream()
    array = np.arange(1 << 20, dtype=np.float32)
    address = memory.allocate(array.nbytes)
    memory.upload(address, array, stream)
    back = np.zeros_like(array)
    memory.download(back, address, stream)
    memory.synchronize(stream)
    memory.free(address)
    memory.destroy_stream(stream)
    memory.close()
    np.testing.assert_array_equal(back, array)


def test_what_is_captured_is_done_at_each_launch() -> None:
    _needs("cuda")
    memory = open_device_memory()
    with memory.current():
        stream, address = memory.create_stream(), memory.allocate(4)
        there = memory.allocate_host(4, mapped=False)
        back = memory.allocate_host(4, mapped=False)

        def copy() -> None:
            memory.upload(address, there.array, stream)
            memory.download(back.array, address, stream)

        graph = memory.capture(stream, copy)
        for value in (1, 2):
            there.array[:] = value
            memory.launch(graph, stream)
            memory.synchronize(stream)
            assert back.array.tolist() == [value] * 4
        memory.destroy_graph(graph)
        for buffer in (there, back):
            memory.free_host(buffer)
        memory.free(address)
        memory.destroy_stream(stream)
    memory.close()


def test_captured_marks_are_noted_by_each_launch() -> None:
    """The longer copy takes longer, by the device's clock, each time that the graph is launched."""
    _needs("cuda")
    memory = open_device_memory()
    size = 64 << 20
    with memory.current():
        stream, address = memory.create_stream(), memory.allocate(size)
        there = memory.allocate_host(size, mapped=False)
        marks = [memory.create_event() for _ in range(3)]

        def copy() -> None:
            memory.record(marks[0], stream)
            memory.upload(address, there.array[: size // 64], stream)
            memory.record(marks[1], stream)
            memory.upload(address, there.array, stream)
            memory.record(marks[2], stream)

        graph = memory.capture(stream, copy)
        for _ in range(3):
            started = time.perf_counter()
            memory.launch(graph, stream)
            memory.synchronize(stream)
            whole = 1000 * (time.perf_counter() - started)
            short, long = memory.elapsed(*marks[:2]), memory.elapsed(*marks[1:])
            assert 0 < short < long < whole
        memory.destroy_graph(graph)
        for mark in marks:
            memory.destroy_event(mark)
        memory.free_host(there)
        memory.free(address)
        memory.destroy_stream(stream)
    memory.close()


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_engines_time_is_split_and_its_layers_are_timed(
    tmp_path: Path, flavour: Flavour
) -> None:
    _needs("cuda", flavour)
    report = build_engine(DEMO, tmp_path / "demo.plan", EngineOptions(flavour=flavour))
    with open_engine(report.path, tuning=Tuning(timed=True)) as engine:
        assert engine.telemetry.switches.cuda_graph == "yes"
        for _ in range(10):
            started = time.perf_counter()
            engine.step(*_start(engine))
            whole = 1000 * (time.perf_counter() - started)
            split = engine.telemetry.split
            assert split is not None and split.infer > 0
            assert split.upload + split.infer + split.download < whole
    with open_engine(report.path, tuning=Tuning(profiled=True)) as engine:
        for _ in range(10):
            engine.step(*_start(engine))
        layers = engine.telemetry.layers()
    assert len(layers) > 10
    assert any("Conv" in layer.kind or "compiled" in layer.kind for layer in layers)


def _start(engine: Session) -> tuple[np.ndarray, State]:
    spec = engine.card.preprocess
    return np.zeros((spec.height, spec.width, 3), np.uint8), engine.init_state()


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_engine_answers_as_onnx_runtime_does(tmp_path: Path, flavour: Flavour) -> None:
    _needs("cuda", flavour)
    report = build_engine(DEMO, tmp_path / "demo.plan", EngineOptions(flavour=flavour))
    assert report.comparison is not None
    with np.load(DEMO.with_name("demo.verify.npz")) as samples:
        frames = np.concatenate([*samples["clips"]] * 5)  # one after the other, as in a film
    largest = difference = 0.0
    with open_engine(report.path) as engine, open_session(DEMO, "cpu") as reference:
        state, expected_state = engine.init_state(), reference.init_state()
        for frame in frames:
            logits, state = engine.step(frame, state)
            expected, expected_state = reference.step(frame, expected_state)
            largest = max(largest, float(np.abs(expected).max()))
            difference = max(difference, float(np.abs(logits - expected).max()))
    assert difference <= LIMITS["fp32"].relative * largest
