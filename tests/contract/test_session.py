"""What every session promises: the fake, ONNX Runtime, and TensorRT's over a fake TensorRT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from effvit_edge.core.card import Mode
from effvit_edge.core.errors import EdgeError, InputError
from effvit_edge.runtime import FakeSession, Session, open_session
from tests.engines import open_fake, write_engine
from tests.tiny_models import SIDE, WINDOW, brightness_logits, tiny_card, write_model

Open = Callable[[Mode], Session]


def _mean_colour_logits(frames: np.ndarray) -> np.ndarray:
    """The fake's answer: of the colours seen, each half as heavy as the one after it."""
    colours = frames.mean(axis=(1, 2)) / 255
    weights = 0.5 ** np.arange(len(colours), 0, -1)
    return brightness_logits(weights @ colours)


@pytest.fixture(params=["fake", "onnxruntime cpu", "tensorrt"])
def open_model(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    def opened(mode: Mode) -> Session:
        if request.param == "fake":
            return FakeSession(tiny_card(mode), _mean_colour_logits)
        if request.param == "tensorrt":
            return open_fake(write_engine(tmp_path, mode))
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


def test_closing_twice_is_allowed_and_using_it_after_is_not(open_model: Open) -> None:
    session = open_model("stream")
    state = session.init_state()
    session.close()
    session.close()
    with pytest.raises(EdgeError, match="closed"):
        session.step(_frame(0), state)
    with pytest.raises(EdgeError, match="closed"):
        session.init_state()
