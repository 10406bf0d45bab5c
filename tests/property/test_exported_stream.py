"""The exported step, frame by frame in ONNX Runtime, equals the network over the whole sequence."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.export.networks import SIZE, STREAMS, stream

LIMIT = 1e-4


@cache
def session_of(name: str) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    graph = stream(**STREAMS[name]).proto.SerializeToString()
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def step_through(session: Any, frames: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """``(T, …)`` frames from a state of zeros to ``(T, …)`` logits."""
    state = {s.name: np.zeros(s.shape, np.float32) for s in session.get_inputs()[1:]}
    answers = []
    for frame in frames:
        logits, *after = session.run(None, {"frame": frame, **state})
        state = dict(zip(state, after, strict=True))
        answers.append(logits)
    return np.stack(answers)


def sequence_logits(name: str, frames: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """``(T, B, H, W, 3)`` through the network at once -> ``(T, B, classes)``."""
    graph = stream(**STREAMS[name])
    spec = graph.card.preprocess
    mean, std = torch.tensor(spec.mean), torch.tensor(spec.std)
    x = ((torch.from_numpy(frames) / 255.0 - mean) / std).permute(1, 4, 0, 2, 3)
    with torch.inference_mode():
        logits: np.ndarray[Any, Any] = graph.model.forward_frames(x).transpose(0, 1).numpy()
    return logits


@pytest.mark.parametrize("name", STREAMS)
@settings(max_examples=6)
@given(
    # windows are 1 to 4 frames: shorter, equal and many times as long
    lengths=st.lists(st.integers(1, 17), min_size=1, max_size=2),
    seed=st.integers(0, 2**32 - 1),
    contrast=st.sampled_from([0.0, 0.05, 1.0]),
)
def test_step_equals_sequence(name: str, lengths: list[int], seed: int, contrast: float) -> None:
    batch = stream(**STREAMS[name]).batch
    rng = np.random.default_rng(seed)
    for length in lengths:  # each from a fresh state: what came before must leave no trace
        noise = rng.uniform(0, 255 * contrast, (length, batch or 1, SIZE, SIZE, 3))
        frames = noise.astype(np.uint8)
        expected = sequence_logits(name, frames)
        got = step_through(session_of(name), frames if batch else frames[:, 0])
        assert np.abs(got.reshape(expected.shape) - expected).max() <= LIMIT


@pytest.mark.parametrize("name", ["default", "two cameras"])
def test_a_long_stream_does_not_drift(name: str) -> None:
    rng = np.random.default_rng(1)
    batch = stream(**STREAMS[name]).batch
    frames = rng.integers(0, 256, (80, batch or 1, SIZE, SIZE, 3), dtype=np.uint8)
    expected = sequence_logits(name, frames)
    got = step_through(session_of(name), frames if batch else frames[:, 0])
    error = np.abs(got.reshape(expected.shape) - expected).reshape(80, -1).max(1)
    assert error.max() <= LIMIT
    assert error[-20:].max() <= 4 * error[:20].max()


def test_cameras_do_not_see_each_other() -> None:
    rng = np.random.default_rng(2)
    frames = rng.integers(0, 256, (6, 2, SIZE, SIZE, 3), dtype=np.uint8)
    changed = frames.copy()
    changed[:, 1] = 0
    before, after = (step_through(session_of("two cameras"), f) for f in (frames, changed))
    np.testing.assert_array_equal(before[:, 0], after[:, 0])
    assert np.abs(before[:, 1] - after[:, 1]).min(1).max() > 100 * LIMIT  # it does look
