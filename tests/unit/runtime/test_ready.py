"""A session tests itself when it is opened, or is warmed up where there is nothing to test with."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from effvit_edge.core.card import Mode, Precision
from effvit_edge.core.errors import EdgeError, GateFailure, InputError
from effvit_edge.runtime import FakeSession, Session, open_session
from effvit_edge.runtime.ready import make_ready, run_self_test
from effvit_edge.runtime.sidecar import sidecar_path
from effvit_edge.runtime.verify import find_verify
from tests.engines import open_fake, write_engine
from tests.tiny_models import SIDE, WINDOW, brightness_logits, tiny_card, write_model

CLIPS = np.random.default_rng(5).integers(0, 256, (2, 6, SIDE, SIDE, 3), np.uint8)


def _stream_logits(clip: np.ndarray) -> np.ndarray:
    """What the tiny stream model answers, in numpy: its state is a running mean colour."""
    mean, answers = np.zeros(3), []
    for frame in clip:
        mean = 0.5 * mean + 0.5 * frame.mean(axis=(0, 1)) / 255
        answers.append(brightness_logits(mean))
    return np.stack(answers)


def _write_verify(model: Path, mode: Mode = "stream", scale: float = 1.0) -> None:
    clips = CLIPS if mode == "stream" else CLIPS[:, :WINDOW]
    if mode == "stream":
        logits = np.stack([_stream_logits(clip) for clip in clips])
    else:
        logits = np.stack([brightness_logits(clip.mean(axis=(0, 1, 2)) / 255) for clip in clips])
    path = model.with_name(f"{model.stem}.verify.npz")
    np.savez(path, clips=clips, logits=(logits * scale).astype(np.float32))


@pytest.mark.parametrize("mode", ["stream", "clip"])
def test_a_model_that_answers_as_its_parent_did_is_opened(tmp_path: Path, mode: Mode) -> None:
    model = write_model(tmp_path / "m.onnx", tiny_card(mode))
    _write_verify(model, mode)
    with open_session(model, "cpu") as session:
        comparison = run_self_test(session, model)
    assert comparison is not None
    assert comparison.max_abs < 1e-5
    assert comparison.answers == (len(CLIPS[0]) if mode == "stream" else 1)


def test_a_model_that_answers_otherwise_is_refused_with_figures(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.onnx", tiny_card("stream"))
    _write_verify(model, scale=1 / 1.5)
    with pytest.raises(GateFailure) as caught:
        open_session(model, "cpu")
    said = str(caught.value)
    assert "m.onnx answers otherwise here than its m.verify.npz says" in said
    assert "up to 50.00% of the largest logit (limit 1.00%)" in said
    assert "over 6 answers by ONNX Runtime" in said
    assert "--no-self-test" in said
    assert caught.value.exit_code == 4
    open_session(model, "cpu", self_test=False).close()


@pytest.mark.parametrize(("precision", "refused"), [("fp32", True), ("int8", False)])
def test_the_limits_are_those_of_the_models_precision(
    tmp_path: Path, precision: Precision, refused: bool
) -> None:
    card = dataclasses.replace(tiny_card("stream"), precision=precision)
    model = write_model(tmp_path / "m.onnx", card)
    _write_verify(model, scale=1 / 1.1)
    if refused:
        with pytest.raises(GateFailure, match=r"10\.00%"):
            open_session(model, "cpu")
    else:
        open_session(model, "cpu").close()


def test_what_is_no_number_never_passes(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.onnx", tiny_card("stream"))
    _write_verify(model)
    broken = FakeSession(tiny_card("stream"), lambda _: np.full(3, np.nan, np.float32))
    with pytest.raises(GateFailure, match="nan"):
        make_ready(broken, model)
    with pytest.raises(EdgeError, match="closed"):
        broken.init_state()


def test_a_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.onnx", tiny_card("stream"))
    verify = tmp_path / "m.verify.npz"
    verify.write_bytes(b"PK not a zip")
    with pytest.raises(InputError, match=r"m\.verify\.npz cannot be read"):
        open_session(model, "cpu")
    np.savez(verify, clips=CLIPS[:, :, :4], logits=np.zeros((2, 6, 3), np.float32))
    with pytest.raises(InputError, match=r"m\.verify\.npz is of another model"):
        open_session(model, "cpu")
    np.savez(verify, clips=np.uint8(1), logits=np.zeros((2, 6, 3), np.float32))
    with pytest.raises(InputError, match=r"m\.verify\.npz is of another model"):
        open_session(model, "cpu")


@pytest.mark.parametrize(
    ("count", "frames", "said"), [(0, 6, "has no clips"), (2, 0, "has clips without frames")]
)
def test_a_file_without_anything_to_compare_is_told(
    tmp_path: Path, count: int, frames: int, said: str
) -> None:
    model = write_model(tmp_path / "m.onnx", tiny_card("stream"))
    logits = np.zeros((count, frames, 3), np.float32)
    np.savez(tmp_path / "m.verify.npz", clips=CLIPS[:count, :frames], logits=logits)
    with pytest.raises(InputError, match=rf"m\.verify\.npz {said}"):
        open_session(model, "cpu")


def test_an_engine_is_tested_with_the_file_of_its_onnx_file(tmp_path: Path) -> None:
    plan = write_engine(tmp_path)
    named = tmp_path / "named.plan"
    shutil.copy(plan, named)
    shutil.copy(sidecar_path(plan), sidecar_path(named))
    assert find_verify(named) is None
    _write_verify(tmp_path / "m.onnx")
    assert find_verify(named) == tmp_path / "m.verify.npz"
    with open_fake(plan) as session:
        assert run_self_test(session, named) is not None
    _write_verify(named)
    assert find_verify(named) == tmp_path / "named.verify.npz"


class Counting:
    """Counts what a fake session answers."""

    def __init__(self, mode: Mode) -> None:
        self.answers = 0
        self.session: Session = FakeSession(tiny_card(mode), self._answer)

    def _answer(self, frames: np.ndarray) -> np.ndarray:
        self.answers += 1
        return np.zeros(3, np.float32)


@pytest.mark.parametrize("mode", ["stream", "clip"])
def test_without_a_file_it_is_warmed_up(tmp_path: Path, mode: Mode) -> None:
    model = write_model(tmp_path / "m.onnx", tiny_card(mode))
    counting = Counting(mode)
    assert make_ready(counting.session, model, warm_up=2) is counting.session
    assert counting.answers == 2
    make_ready(counting.session, model, warm_up=0)
    assert counting.answers == 2


def test_a_negative_count_is_refused(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.onnx", tiny_card("stream"))
    with pytest.raises(InputError, match="0 or more, got -1"):
        open_session(model, "cpu", warm_up=-1)
