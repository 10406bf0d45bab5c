"""The TensorRT session: what it asks of TensorRT and of the device, and what it gives back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effvit_edge.core.card import Mode
from effvit_edge.core.errors import EdgeError, InputError
from effvit_edge.runtime import open_session
from effvit_edge.runtime.device_session import DeviceSession
from effvit_edge.runtime.graph import TensorSpec
from effvit_edge.runtime.trt import open_plan
from effvit_edge.runtime.trt_executor import PlanExecutor
from effvit_edge.runtime.trt_fake import FakeLibrary, FakeMemory
from effvit_edge.runtime.trt_library import PlanTensor
from tests.engines import fake_library, make_sidecar, open_fake, write_engine
from tests.tiny_models import SIDE, WINDOW, tiny_card

STEP = ["launch", "synchronize"]
WITHOUT_GRAPH = ["bind", "bind", "upload", "enqueue", "download", "synchronize"]


def _frames(count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


@pytest.fixture
def memory() -> FakeMemory:
    return FakeMemory()


@pytest.fixture
def session(tmp_path: Path, memory: FakeMemory) -> DeviceSession:
    return open_fake(write_engine(tmp_path), memory)


def test_a_stream_answers_as_onnx_runtime_does(tmp_path: Path, session: DeviceSession) -> None:
    with session, open_session(tmp_path / "m.onnx", "cpu") as reference:
        state, expected_state = session.init_state(), reference.init_state()
        for frame in _frames(9):
            logits, state = session.step(frame, state)
            expected, expected_state = reference.step(frame, expected_state)
            np.testing.assert_array_equal(logits, expected)
        np.testing.assert_array_equal(state["state_mean"], expected_state["state_mean"])


def test_a_clip_answers_as_onnx_runtime_does(tmp_path: Path) -> None:
    clip = _frames(WINDOW)
    plan = write_engine(tmp_path, "clip")
    with open_fake(plan) as session, open_session(tmp_path / "m.onnx", "cpu") as reference:
        np.testing.assert_array_equal(session.run(clip), reference.run(clip))


def _events_of_steps(session: DeviceSession, memory: FakeMemory, count: int) -> list[str]:
    _, state = session.step(_frames(1)[0], session.init_state())
    memory.events.clear()
    for frame in _frames(count):
        _, state = session.step(frame, state)
    return memory.events


def test_a_step_is_one_launch_of_what_was_captured(
    session: DeviceSession, memory: FakeMemory
) -> None:
    assert _events_of_steps(session, memory, 5) == STEP * 5
    assert session.provider_report == "TensorRT 10.3.0 on Orin"


def test_what_cannot_be_captured_is_put_on_the_stream_and_told(tmp_path: Path) -> None:
    memory = FakeMemory(no_graph="it has a loop")
    with open_fake(write_engine(tmp_path), memory) as session:
        assert session.provider_report == "TensorRT 10.3.0 on Orin (no CUDA graph: it has a loop)"
        # Only the frame and the logits are copied.
        assert _events_of_steps(session, memory, 5) == WITHOUT_GRAPH * 5


def test_an_integrated_device_works_in_the_hosts_memory(tmp_path: Path) -> None:
    plan = write_engine(tmp_path)
    memory, copying = FakeMemory(integrated=True, no_graph="told to"), FakeMemory()
    with open_fake(plan, memory) as session, open_fake(plan, copying) as reference:
        state, expected_state = session.init_state(), reference.init_state()
        for frame in _frames(4):
            logits, state = session.step(frame, state)
            expected, expected_state = reference.step(frame, expected_state)
            np.testing.assert_array_equal(logits, expected)
        steps = _events_of_steps(session, memory, 3)
        assert steps == ["bind", "bind", "enqueue", "synchronize"] * 3
    assert memory.held == 0


def test_a_start_brings_the_state_to_the_device_once(
    session: DeviceSession, memory: FakeMemory
) -> None:
    start = session.init_state()
    memory.events.clear()
    session.step(_frames(1)[0], start)
    assert memory.events == ["upload", "synchronize", *STEP]


def test_all_memory_is_taken_when_opening(session: DeviceSession, memory: FakeMemory) -> None:
    assert memory.events.count("allocate") == 4  # the frame, the logits, the state twice
    assert memory.events.count("allocate_host") == 2  # the frame, the logits
    assert memory.events.count("capture") == 2  # to the one slot, and to the other
    before = memory.held
    state = session.init_state()
    for frame in _frames(4):
        _, state = session.step(frame, state)
    assert memory.held == before


def test_streams_in_turn_have_places_of_their_own(
    session: DeviceSession, memory: FakeMemory
) -> None:
    states = [session.init_state() for _ in range(3)]
    for _ in range(2):
        states = [session.step(frame, s)[1] for frame, s in zip(_frames(3), states, strict=True)]
    memory.events.clear()
    for _ in range(2):
        states = [session.step(frame, s)[1] for frame, s in zip(_frames(3), states, strict=True)]
    assert memory.events == STEP * 6


def test_a_stream_that_has_ended_leaves_its_place_to_the_next(
    session: DeviceSession, memory: FakeMemory
) -> None:
    held = memory.held
    for _ in range(5):
        state = session.init_state()
        for frame in _frames(3):
            _, state = session.step(frame, state)
    assert memory.held == held


def test_more_streams_than_places_are_still_right(tmp_path: Path) -> None:
    plan = write_engine(tmp_path)
    frames = _frames(4)
    with open_fake(plan) as alone, _with_places(plan, 2) as session:
        starts = [session.init_state() for _ in range(3)]
        states = starts
        for frame in frames:
            stepped = [session.step(frame // (i + 1), s) for i, s in enumerate(states)]
            states = [state for _, state in stepped]
        for i, (logits, _) in enumerate(stepped):
            state = alone.init_state()
            for frame in frames:
                expected, state = alone.step(frame // (i + 1), state)
            np.testing.assert_array_equal(logits, expected)


def test_a_device_without_room_for_another_place_copies_states_to_and_fro(tmp_path: Path) -> None:
    frame, logits, state = SIDE * SIDE * 3, 12, 12
    memory = FakeMemory(room=frame + logits + 2 * state)  # and half of a second place
    film = _frames(4)
    with open_fake(write_engine(tmp_path), memory) as session:
        held = memory.held
        states = [session.init_state(), session.init_state()]
        for image in film:
            (one, states[0]), (other, states[1]) = [session.step(image, s) for s in states]
            np.testing.assert_array_equal(one, other)
        assert memory.held == held
    assert memory.held == 0


def _with_places(plan: Path, pairs: int) -> DeviceSession:
    memory = FakeMemory()
    library = fake_library(plan.with_suffix(".onnx"), memory)
    with memory.current():
        loaded = library.load(b"", "m.plan")
    card = tiny_card("stream")
    return DeviceSession(card, PlanExecutor(loaded, memory, card, "m.plan", "fake"), pairs)


def test_a_state_can_be_stepped_from_twice(session: DeviceSession) -> None:
    dark, bright = np.zeros((SIDE, SIDE, 3), np.uint8), np.full((SIDE, SIDE, 3), 255, np.uint8)
    _, state = session.step(bright, session.init_state())
    first, one = session.step(dark, state)
    second, other = session.step(dark, state)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(one["state_mean"], other["state_mean"])


def test_a_state_of_another_session_is_taken_over(tmp_path: Path) -> None:
    plan = write_engine(tmp_path)
    frames = _frames(2)
    with open_fake(plan) as one, open_fake(plan) as other:
        _, state = one.step(frames[0], one.init_state())
        expected, _ = one.step(frames[1], state)
        moved, _ = other.step(frames[1], state)
    np.testing.assert_array_equal(moved, expected)


def test_states_outlive_the_session(session: DeviceSession) -> None:
    _, state = session.step(_frames(1)[0], session.init_state())
    value = state["state_mean"].copy()
    session.close()
    np.testing.assert_array_equal(state["state_mean"], value)
    assert list(state) == ["state_mean"]
    assert len(state) == 1
    with pytest.raises(KeyError):
        state["state_other"]


@pytest.mark.parametrize(
    "part", [np.zeros(3, np.float16), np.zeros(4, np.float32)], ids=["type", "shape"]
)
def test_a_state_of_another_type_is_refused(session: DeviceSession, part: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"this model's is state_mean float32 \[3\]"):
        session.step(_frames(1)[0], {"state_mean": part})


def test_closing_gives_everything_back_in_order(session: DeviceSession, memory: FakeMemory) -> None:
    session.step(_frames(1)[0], session.init_state())
    memory.events.clear()
    session.close()
    session.close()
    graphs_and_states = ["destroy_graph"] * 2 + ["free"] * 2
    assert memory.events == [
        *graphs_and_states,
        *["free", "free_host"] * 2,
        *["destroy_stream", "unload", "close"],
    ]
    assert memory.held == 0


def test_a_device_without_room_gives_back_what_was_taken(tmp_path: Path) -> None:
    memory = FakeMemory(room=SIDE * SIDE * 3)
    with pytest.raises(EdgeError, match="out of memory"):
        open_fake(write_engine(tmp_path), memory)
    assert memory.held == 0
    assert memory.events[-2:] == ["unload", "close"]


class Failing(FakeMemory):
    """A device that fails in one call, once it is told to."""

    call = ""

    def synchronize(self, stream: int) -> None:
        if self.call == "synchronize":
            raise EdgeError("CUDA failed in cudaStreamSynchronize: an illegal access.")
        super().synchronize(stream)


def test_a_device_that_fails_is_told_and_everything_is_given_back(tmp_path: Path) -> None:
    memory = Failing()
    with open_fake(write_engine(tmp_path), memory) as session:
        _, state = session.step(_frames(1)[0], session.init_state())
        memory.call = "synchronize"
        with pytest.raises(EdgeError, match="illegal access"):
            session.step(_frames(1)[0], state)
    assert memory.held == 0
    with pytest.raises(EdgeError, match="lost when its session was closed"):
        state["state_mean"]


def _half(name: str, is_input: bool) -> PlanTensor:
    return PlanTensor(TensorSpec(name, "float16", (2,)), is_input)


def test_states_are_of_the_engines_type(tmp_path: Path, memory: FakeMemory) -> None:
    """Half precision: the state is float16 in memory, at the start, and read back."""
    tensors = [
        PlanTensor(TensorSpec("frame", "uint8", (SIDE, SIDE, 3)), True),
        _half("state_a", True),
        PlanTensor(TensorSpec("logits", "float32", (3,)), False),
        _half("next_state_a", False),
    ]

    def compute(feeds: Any) -> dict[str, np.ndarray]:
        assert feeds["state_a"].dtype == np.float16
        after = feeds["state_a"] + np.float16(1)
        return {"logits": np.repeat(after.astype(np.float32)[:1], 3), "next_state_a": after}

    with memory.current():
        plan = FakeLibrary(memory, tensors, compute).load(b"", "m.plan")
    card = tiny_card("stream")
    executor = PlanExecutor(plan, memory, card, "m.plan", "fake")
    with DeviceSession(card, executor) as session:
        state = session.init_state()
        assert state["state_a"].dtype == np.float16
        for seen in (1, 2, 3):
            logits, state = session.step(_frames(1)[0], state)
            assert logits.tolist() == [seen] * 3
        assert state["state_a"].dtype == np.float16


@pytest.mark.parametrize("mode", ["clip", "stream"])
def test_an_engine_that_does_not_fit_its_card_is_refused(
    tmp_path: Path, memory: FakeMemory, mode: Mode
) -> None:
    other: Mode = "stream" if mode == "clip" else "clip"
    plan = write_engine(tmp_path, mode)
    library = fake_library(plan.with_suffix(".onnx"), memory)
    sidecar = make_sidecar(plan.read_bytes(), other)
    with pytest.raises(InputError, match="does not fit its model card"):
        open_plan(plan, sidecar=sidecar, library=library, memory=memory)
    assert memory.held == 0
    assert memory.events == ["load", "unload", "close"]
