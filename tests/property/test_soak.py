"""Twenty thousand steps of one exported stream: no drift, no growth."""

from __future__ import annotations

import resource
import tracemalloc
from collections import deque
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

from tests.unit.export.networks import SIZE, stream

STEPS, BLOCK, EVERY = 20_000, 1_000, 100
SEEN = 96  # frames that torch is given: more than any answer depends on
MEGABYTE = 1 << 20


def _expected(frames: deque[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """The network's logits at the last of ``frames``, over the frames as one clip."""
    graph = stream()
    spec = graph.card.preprocess
    x = torch.from_numpy(np.stack(frames)) / 255.0
    x = (x - torch.tensor(spec.mean)) / torch.tensor(spec.std)
    with torch.inference_mode():
        logits: np.ndarray[Any, Any] = graph.model(x.permute(3, 0, 1, 2)[None])[0].numpy()
    return logits


def _peak_rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_stream_of_twenty_thousand_frames_neither_drifts_nor_grows() -> None:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        stream().proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    state = {s.name: np.zeros(s.shape, np.float32) for s in session.get_inputs()[1:]}
    rng = np.random.default_rng(0)
    seen: deque[np.ndarray[Any, Any]] = deque(maxlen=SEEN)
    errors: list[float] = []
    memory: list[tuple[int, int]] = []
    tracemalloc.start()
    try:
        for step in range(1, STEPS + 1):
            frame = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
            seen.append(frame)
            logits, *after = session.run(None, {"frame": frame, **state})
            state = dict(zip(state, after, strict=True))
            if step % EVERY == 0:
                errors.append(float(np.abs(logits - _expected(seen)).max()))
            if step % BLOCK == 0:
                memory.append((tracemalloc.get_traced_memory()[0], _peak_rss()))
    finally:
        tracemalloc.stop()
    block = BLOCK // EVERY
    assert max(errors) <= 1e-4
    assert max(errors[-block:]) <= 2 * max(errors[:block])
    traced, peak = np.array(memory).T
    assert traced[-1] - traced[1] < MEGABYTE
    assert peak[-1] - peak[1] < 32 * MEGABYTE
