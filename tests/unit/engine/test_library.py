"""The real library's part that runs an engine, over the stand-in for TensorRT's bindings."""

from __future__ import annotations

import gc
from types import ModuleType

import pytest

from effvit_edge.core.errors import EdgeError, EnvironmentFault, InputError
from effvit_edge.runtime.trt_library import TensorRTLibrary
from tests.tiny_models import SIDE


def test_an_engine_tells_its_tensors(tensorrt: ModuleType) -> None:
    plan = TensorRTLibrary(tensorrt, "tensorrt").load(b"plan", "m.plan")
    assert [(str(tensor.spec), tensor.is_input) for tensor in plan.tensors] == [
        (f"frame uint8 [{SIDE}, {SIDE}, 3]", True),
        ("state_mean float16 [3]", True),
        ("logits float32 [3]", False),
        ("next_state_mean float16 [3]", False),
    ]


def test_running_binds_addresses_and_enqueues(tensorrt: ModuleType) -> None:
    plan = TensorRTLibrary(tensorrt, "tensorrt").load(b"plan", "m.plan")
    plan.bind("frame", 4096)
    plan.enqueue(7)
    assert tensorrt.EVENTS == ["deserialize", ("address", "frame", 4096), ("enqueue", 7)]


def test_a_profiled_engine_tells_the_time_of_each_layer(tensorrt: ModuleType) -> None:
    plan = TensorRTLibrary(tensorrt, "tensorrt").load(b"plan", "m.plan")
    told: list[tuple[str, float]] = []
    plan.enqueue(7)
    plan.profile(lambda name, milliseconds: told.append((name, milliseconds)))
    plan.enqueue(7)
    assert told == [("/layers/Conv", 0.5)]


def test_closing_lets_go_of_context_engine_and_runtime_in_order(tensorrt: ModuleType) -> None:
    plan = TensorRTLibrary(tensorrt, "tensorrt").load(b"plan", "m.plan")
    gc.collect()
    tensorrt.EVENTS.clear()
    plan.close()
    plan.close()
    released = ["release _Context", "release _Engine", "release Runtime"]
    assert released == tensorrt.EVENTS


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        ("start|CUDA initialization failure", EnvironmentFault, "TensorRT does not start.*CUDA"),
        ("load|Version tag does not match", EdgeError, "cannot load the engine m.plan: Version"),
        ("context|out of memory", EdgeError, "cannot run the engine m.plan: out of memory"),
        ("type", InputError, "m.plan has frame of type"),
    ],
)
def test_engines_that_do_not_load_are_told(
    tensorrt: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    kind: type[EdgeError],
    message: str,
) -> None:
    monkeypatch.setenv("STAND_IN", words)
    with pytest.raises(kind, match=message):
        TensorRTLibrary(tensorrt, "tensorrt").load(b"plan", "m.plan")


def test_runs_that_are_refused_are_told(
    tensorrt: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = TensorRTLibrary(tensorrt, "tensorrt").load(b"plan", "m.plan")
    monkeypatch.setenv("STAND_IN", "address")
    with pytest.raises(EdgeError, match="refuses an address for frame"):
        plan.bind("frame", 1)
    monkeypatch.setenv("STAND_IN", "enqueue")
    with pytest.raises(EdgeError, match="could not run the engine: it gives no reason"):
        plan.enqueue(7)
