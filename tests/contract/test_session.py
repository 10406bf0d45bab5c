"""What every session promises: the fake, ONNX Runtime, and TensorRT's over a fake TensorRT.

That one runs in all its ways: with graphs, without, and on an integrated device. ONNX Runtime on
CUDA keeps the same promises in ``tests/gpu``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effvit_edge.core.card import Mode
from effvit_edge.core.errors import EdgeError, InputError
from effvit_edge.runtime import FakeSession, Logits, Session, State, open_session
from effvit_edge.runtime.trt_fake import FakeMemory
from tests.engines import open_fake, write_engine
from tests.tiny_models import SIDE, WINDOW, brightness_logits, tiny_card, write_model

Open = Callable[[Mode], Session]


def _mean_colour_logits(frames: np.ndarray) -> np.ndarray:
    """The fake's answer: of the colours seen, each half as heavy as the one after it."""
    colours = frames.mean(axis=(1, 2)) / 255
    weights = 0.5 ** np.arange(len(colours), 0, -1)
    return brightness_logits(weights @ colours)


DEVICES: dict[str, dict[str, Any]] = {
    "tensorrt": {},
    "tensorrt without graphs": {"no_graph": "it has a loop"},
    "tensorrt integrated": {"integrated": True},
}


class Unkept(list[str]):
    """Instead of the fake device's record of what was done, which is no memory of the session."""

    def append(self, event: str) -> None:
        """Forget it."""


@pytest.fixture(params=["fake", "onnxruntime cpu", *DEVICES])
def open_model(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    def opened(mode: Mode) -> Session:
        if request.param == "fake":
            return FakeSession(tiny_card(mode), _mean_colour_logits)
        if request.param in DEVICES:
            memory = FakeMemory(**DEVICES[request.param])
            memory.events = Unkept()
            return open_fake(write_engine(tmp_path, mode), memory)
        path = write_model(tmp_path / f"{mode}.onnx", tiny_card(mode))
        return open_session(path, provider="cpu")

    return opened


def _frame(level: int) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), level, np.uint8)


def test_card_and_provider_are_told(open_model: Open) -> None:
    with open_model("clip") as session:
        assert session.card == tiny_card("clip")
        assert session.provider_report


def test_clip_gives_one_float32_logit_a_class(open_model: Open) -> None:
    with open_model("clip") as session:
        logits = session.run(np.zeros((WINDOW, SIDE, SIDE, 3), np.uint8))
    assert (logits.shape, logits.dtype) == ((3,), np.float32)


def test_step_gives_logits_and_the_next_state(open_model: Open) -> None:
    with open_model("stream") as session:
        start = session.init_state()
        logits, state = session.step(_frame(200), start)
    assert (logits.shape, logits.dtype) == ((3,), np.float32)
    assert state.keys() == start.keys()


def test_state_carries_the_past_and_the_session_does_not(open_model: Open) -> None:
    with open_model("stream") as session:
        fresh, bright_past = session.step(_frame(255), session.init_state())
        remembering, _ = session.step(_frame(0), bright_past)
        forgetting, _ = session.step(_frame(0), session.init_state())
        again, _ = session.step(_frame(255), session.init_state())
    assert remembering[1] > forgetting[1]
    np.testing.assert_array_equal(fresh, again)


def test_inputs_are_left_alone_and_results_are_the_callers(open_model: Open) -> None:
    with open_model("stream") as session:
        frame, start = _frame(80), session.init_state()
        before = {name: part.copy() for name, part in start.items()}
        logits, state = session.step(frame, start)
        kept = logits.copy(), {name: part.copy() for name, part in state.items()}
        session.step(_frame(250), state)
        np.testing.assert_array_equal(frame, _frame(80))
        for name, part in before.items():
            np.testing.assert_array_equal(start[name], part)
        np.testing.assert_array_equal(logits, kept[0])
        for name, part in kept[1].items():
            np.testing.assert_array_equal(state[name], part)


def test_a_frame_need_not_be_contiguous(open_model: Open) -> None:
    wide = np.random.default_rng(0).integers(0, 256, (SIDE, 2 * SIDE, 3), np.uint8)
    with open_model("stream") as session:
        view, _ = session.step(wide[:, ::2], session.init_state())
        copy, _ = session.step(wide[:, ::2].copy(), session.init_state())
    np.testing.assert_array_equal(view, copy)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((SIDE, SIDE, 3), np.float32),
        np.zeros((SIDE, SIDE + 1, 3), np.uint8),
        np.zeros((3, SIDE, SIDE), np.uint8),
        np.zeros((1, SIDE, SIDE, 3), np.uint8),
    ],
    ids=["float", "wide", "channels first", "batched"],
)
def test_wrong_frames_are_refused_with_both_shapes(open_model: Open, frame: np.ndarray) -> None:
    with open_model("stream") as session:
        state = session.init_state()
        with pytest.raises(InputError, match=r"must be \(8, 8, 3\) uint8 RGB, got") as caught:
            session.step(frame, state)
    assert str(frame.shape) in str(caught.value)


def test_a_clip_of_another_length_is_refused(open_model: Open) -> None:
    with open_model("clip") as session, pytest.raises(InputError, match=r"got \(5, 8, 8, 3\)"):
        session.run(np.zeros((WINDOW + 1, SIDE, SIDE, 3), np.uint8))


def test_a_foreign_state_is_refused(open_model: Open) -> None:
    with open_model("stream") as session, pytest.raises(InputError, match="state_other"):
        session.step(_frame(0), {"state_other": np.zeros(3, np.float32)})


def test_calls_of_the_other_mode_are_refused(open_model: Open) -> None:
    with open_model("stream") as stream, pytest.raises(InputError, match="call step"):
        stream.run(np.zeros((WINDOW, SIDE, SIDE, 3), np.uint8))
    with open_model("clip") as clip:
        with pytest.raises(InputError, match="call run"):
            clip.init_state()
        with pytest.raises(InputError, match="call run"):
            clip.step(_frame(0), {})


@pytest.mark.parametrize(
    "wrong",
    [lambda part: part[None], lambda part: part.astype(np.float64)],
    ids=["shape", "type"],
)
def test_a_state_of_another_model_is_refused(
    open_model: Open, wrong: Callable[[np.ndarray], np.ndarray]
) -> None:
    with open_model("stream") as session:
        state = {name: wrong(part) for name, part in session.init_state().items()}
        with pytest.raises(InputError, match=r"The state's state_\w+ is .*this model's is"):
            session.step(_frame(0), state)


def _frames(count: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def _follow(session: Session, frames: np.ndarray) -> tuple[list[Logits], list[State]]:
    """All answers, and all states with the one before the first frame."""
    answers, states = [], [session.init_state()]
    for frame in frames:
        logits, state = session.step(frame, states[-1])
        answers.append(logits)
        states.append(state)
    return answers, states


def test_old_states_stay_valid_in_any_order(open_model: Open) -> None:
    frames = _frames(6)
    with open_model("stream") as session:
        answers, states = _follow(session, frames)
        values = [{name: np.array(part) for name, part in s.items()} for s in states]
        for i in (4, 0, 2, 5, 1, 3, 3):
            logits, after = session.step(frames[i], states[i])
            np.testing.assert_array_equal(logits, answers[i])
            for name, value in values[i + 1].items():
                np.testing.assert_array_equal(after[name], value)


def test_streams_in_turn_answer_as_each_alone(open_model: Open) -> None:
    """More of them than any session has places for."""
    films = [_frames(4, seed) for seed in range(20)]
    with open_model("stream") as alone, open_model("stream") as shared:
        expected = [_follow(alone, film)[0] for film in films]
        states = [shared.init_state() for _ in films]
        for t in range(len(films[0])):
            for i, film in enumerate(films):
                logits, states[i] = shared.step(film[t], states[i])
                np.testing.assert_array_equal(logits, expected[i][t])


def test_states_outlive_their_session_and_go_to_another(open_model: Open) -> None:
    frames = _frames(4)
    with open_model("stream") as reference:
        expected, expected_states = _follow(reference, frames)
        session = open_model("stream")
        _, states = _follow(session, frames[:3])
        session.close()
        for state, wanted in zip(states, expected_states, strict=False):
            for name, part in wanted.items():
                np.testing.assert_array_equal(state[name], part)
        logits, _ = reference.step(frames[3], states[3])
        np.testing.assert_array_equal(logits, expected[3])


def test_a_session_works_in_another_thread_than_it_was_opened_in(open_model: Open) -> None:
    frames, answers = _frames(5), []
    with open_model("stream") as session:
        expected, _ = _follow(session, frames)
        thread = threading.Thread(target=lambda: answers.extend(_follow(session, frames)[0]))
        thread.start()
        thread.join()
    np.testing.assert_array_equal(answers, expected)


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells memory so")
def test_steps_take_no_more_memory(open_model: Open) -> None:
    """What leaks grows all the time; memory that is only taken anew grows once."""
    frames, marks = _frames(8), []
    with open_model("stream") as session:
        state = session.init_state()
        for step in range(10_001):
            if step % 3_000 == 1_000:
                marks.append(_resident_bytes())
            _, state = session.step(frames[step % 8], state)
    grown = sorted(after - before for before, after in pairwise(marks))
    assert grown[1] < 3e5, "100 bytes a step, or more, in two of three parts"


def test_closing_twice_is_allowed_and_using_it_after_is_not(open_model: Open) -> None:
    session = open_model("stream")
    state = session.init_state()
    session.close()
    session.close()
    with pytest.raises(EdgeError, match="closed"):
        session.step(_frame(0), state)
    with pytest.raises(EdgeError, match="closed"):
        session.init_state()
