"""What ONNX Runtime is asked for on a device: places taken once, and no state that leaves it."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from effvit_edge.core.card import Mode
from effvit_edge.core.errors import EdgeError
from effvit_edge.runtime.device_session import DeviceSession
from effvit_edge.runtime.onnx_executor import OnnxExecutor, OrtPlace
from effvit_edge.runtime.tuning import DEFAULT, Tuning
from tests.tiny_models import SIDE, WINDOW, tiny_card, write_model

FRAME, STATE, LOGITS = (SIDE, SIDE, 3), (3,), (3,)
FRAMES = np.random.default_rng(3).integers(0, 256, (5, *FRAME), np.uint8)


class Device:
    """Stands for a CUDA device: memory asked for there is of the host, and its traffic is kept."""

    def __init__(self) -> None:
        self.taken: list[tuple[tuple[int, ...], str, int]] = []
        self.traffic: list[tuple[str, tuple[int, ...]]] = []
        device = self

        class Value(onnxruntime.OrtValue):
            def update_inplace(self, data: np.ndarray) -> None:
                device.traffic.append(("write", data.shape))
                super().update_inplace(data)

            def numpy(self) -> Any:
                device.traffic.append(("read", tuple(self.shape())))
                return super().numpy()

        def take(shape: tuple[int, ...], dtype: Any, kind: str, index: int) -> Value:
            device.taken.append((tuple(shape), kind, index))
            here = onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, dtype)
            return Value(here._ortvalue)

        self.module: Any = SimpleNamespace(
            OrtValue=SimpleNamespace(
                ortvalue_from_shape_and_type=take,
                ortvalue_from_numpy=onnxruntime.OrtValue.ortvalue_from_numpy,
            )
        )

    def open(self, folder: Path, mode: Mode, tuning: Tuning = DEFAULT) -> DeviceSession:
        card = tiny_card(mode)
        path = write_model(folder / "m.onnx", card)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        place = OrtPlace("cuda", 1)
        report = "a device"
        executor = OnnxExecutor(self.module, session, card, str(path), place, report, tuning)
        return DeviceSession(card, executor)


def test_a_steps_traffic_is_the_frame_and_the_logits(tmp_path: Path) -> None:
    device = Device()
    with device.open(tmp_path, "stream") as session:
        _, state = session.step(FRAMES[0], session.init_state())
        assert device.traffic == [("write", STATE), ("write", FRAME), ("read", LOGITS)]
        device.traffic.clear()
        for frame in FRAMES:
            _, state = session.step(frame, state)
        assert device.traffic == [("write", FRAME), ("read", LOGITS)] * len(FRAMES)
        assert device.taken == [(part, "cuda", 1) for part in (FRAME, LOGITS, STATE, STATE)]
        assert state["state_mean"].shape == STATE
        assert device.traffic[-1] == ("read", STATE)


def test_a_clips_traffic_is_the_clip_and_the_logits(tmp_path: Path) -> None:
    device = Device()
    clip = FRAMES[:WINDOW]
    with device.open(tmp_path, "clip") as session:
        for _ in range(2):
            session.run(clip)
        assert device.traffic == [("write", clip.shape), ("read", LOGITS)] * 2
        assert device.taken == [(clip.shape, "cuda", 1), (LOGITS, "cuda", 1)]


def test_on_a_device_an_answer_is_split_by_the_hosts_clock(tmp_path: Path) -> None:
    device = Device()
    with device.open(tmp_path, "stream", Tuning(timed=True)) as session:
        telemetry = session.telemetry
        assert (telemetry.split_by, telemetry.split) == ("the host's clock", None)
        before = time.perf_counter()
        session.step(FRAMES[0], session.init_state())
        whole = 1000 * (time.perf_counter() - before)
        split = telemetry.split
    assert split is not None
    assert min(split.upload, split.infer, split.download) > 0
    assert split.upload + split.infer + split.download < whole
    assert telemetry.switches.cuda_graph.startswith("no, ")


def test_a_device_that_is_not_timed_is_not_split(tmp_path: Path) -> None:
    with Device().open(tmp_path, "stream") as session:
        session.step(FRAMES[0], session.init_state())
        assert (session.telemetry.split_by, session.telemetry.split) == ("", None)


def test_what_onnx_runtime_says_is_told(tmp_path: Path) -> None:
    device = Device()

    def refuse(*arguments: Any) -> None:
        raise RuntimeError("CUDA failure 2: out of memory.\nMore of it.")

    device.module.OrtValue.ortvalue_from_shape_and_type = refuse
    with pytest.raises(EdgeError, match=r"^ONNX Runtime failed: CUDA failure 2: out of memory\.$"):
        device.open(tmp_path, "stream")
