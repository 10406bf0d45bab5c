"""What every session promises, of ONNX Runtime on CUDA."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from effvit_edge.core.card import Mode
from effvit_edge.core.limits import LIMITS
from effvit_edge.runtime import Session, open_session
from tests.contract.test_session import *  # noqa: F403 - every test there is one here
from tests.tiny_models import tiny_card, write_model

pytestmark = pytest.mark.gpu
DEMO = Path(__file__).resolve().parents[2] / "models" / "demo.onnx"


@pytest.fixture(autouse=True)
def _cuda() -> None:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime is built without CUDA")


@pytest.fixture
def open_model(tmp_path: Path) -> Open:  # noqa: F405
    def opened(mode: Mode) -> Session:
        path = write_model(tmp_path / f"{mode}.onnx", tiny_card(mode))
        return open_session(path, provider="cuda")

    return opened


def test_the_demo_answers_as_on_the_cpu() -> None:
    with np.load(DEMO.with_name("demo.verify.npz")) as samples:
        frames = np.concatenate([*samples["clips"]] * 5)
    with open_session(DEMO, "cuda") as session, open_session(DEMO, "cpu") as reference:
        state, expected_state = session.init_state(), reference.init_state()
        for frame in frames:
            logits, state = session.step(frame, state)
            expected, expected_state = reference.step(frame, expected_state)
            limit = LIMITS["fp32"].relative * np.abs(expected).max()
            assert np.abs(logits - expected).max() <= limit
