"""The TensorRT session: what it asks of TensorRT and of the device, and what it gives back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effvit_edge.core.card import Mode
from effvit_edge.core.errors import EdgeError, InputError
from effvit_edge.runtime import open_session
from effvit_edge.runtime.graph import TensorSpec
from effvit_edge.runtime.trt import TensorRTSession, open_plan
from effvit_edge.runtime.trt_fake import FakeLibrary, FakeMemory
from effvit_edge.runtime.trt_library import PlanTensor
from tests.engines import fake_library, make_sidecar, open_fake, write_engine
from tests.tiny_models import SIDE, WINDOW, tiny_card

STEP = ["bind", "bind", "upload", "enqueue", "download", "synchronize"]


def _frames(count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


@pytest.fixture
def memory() -> FakeMemory:
    return FakeMemory()


@pytest.fixture
def session(tmp_path: Path, memory: FakeMemory) -> TensorRTSession:
    return open_fake(write_engine(tmp_path), memory)


def test_a_stream_answers_as_onnx_runtime_does(tmp_path: Path, session: TensorRTSession) -> None:
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


def test_running_copies_only_the_frame_and_the_logits(
    session: TensorRTSession, memory: FakeMemory
) -> None:
    _, state = session.step(_frames(1)[0], session.init_state())
    memory.events.clear()
    for frame in _frames(5):
        _, state = session.step(frame, state)
    assert memory.events == STEP * 5


def test_a_start_brings_the_state_to_the_device_once(
    session: TensorRTSession, memory: FakeMemory
) -> None:
    start = session.init_state()
    memory.events.clear()
    session.step(_frames(1)[0], start)
    assert memory.events == ["upload", "synchronize", *STEP]


def test_all_memory_is_taken_when_opening(session: TensorRTSession, memory: FakeMemory) -> None:
    state = session.init_state()
    for frame in _frames(4):
        _, state = session.step(frame, state)
    assert memory.events.count("allocate") == 4  # the frame, the logits, the state twice
    assert memory.events.index("load") < memory.events.index("enqueue")


def test_old_states_are_kept_when_their_place_is_needed(session: TensorRTSession) -> None:
    states, frames = [session.init_state()], _frames(6)
    answers = []
    for frame in frames:
        logits, after = session.step(frame, states[-1])
        answers.append(logits)
        states.append(after)
    values = [state["state_mean"].copy() for state in states]
    for i in (4, 0, 2, 5, 1, 3):  # from any of them, in any order
        logits, after = session.step(frames[i], states[i])
        np.testing.assert_array_equal(logits, answers[i])
        np.testing.assert_array_equal(after["state_mean"], values[i + 1])


def test_a_state_can_be_stepped_from_twice(session: TensorRTSession) -> None:
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


def test_states_outlive_the_session(session: TensorRTSession) -> None:
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
def test_a_state_of_another_type_is_refused(session: TensorRTSession, part: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"this model's is state_mean float32 \[3\]"):
        session.step(_frames(1)[0], {"state_mean": part})


def test_closing_gives_everything_back_in_order(
    session: TensorRTSession, memory: FakeMemory
) -> None:
    session.step(_frames(1)[0], session.init_state())
    memory.events.clear()
    session.close()
    session.close()
    assert memory.events == ["free"] * 4 + ["destroy_stream", "unload", "close"]
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

    plan = FakeLibrary(memory, tensors, compute).load(b"", "m.plan")
    with TensorRTSession(plan, memory, tiny_card("stream"), "m.plan", "fake") as session:
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
