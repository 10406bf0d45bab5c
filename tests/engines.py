"""Engines without TensorRT: a fake one over the tiny models, answering with ONNX Runtime."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from effvit_edge.core.card import Mode
from effvit_edge.runtime.compatibility import this_system
from effvit_edge.runtime.device_session import DeviceSession
from effvit_edge.runtime.graph import TensorSpec
from effvit_edge.runtime.sidecar import PlanSidecar, sidecar_path
from effvit_edge.runtime.trt import open_plan
from effvit_edge.runtime.trt_fake import ORIN_NANO, FakeLibrary, FakeMemory
from effvit_edge.runtime.trt_library import PlanTensor
from effvit_edge.runtime.tuning import DEFAULT, Tuning
from tests.tiny_models import tiny_card, write_model

_NAMES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}


def make_sidecar(plan: bytes, mode: Mode = "stream", **changes: Any) -> PlanSidecar:
    """The sidecar of a plan that fits the fake device."""
    sidecar = PlanSidecar(
        card=tiny_card(mode),
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        plan_bytes=len(plan),
        onnx_name="m.onnx",
        onnx_sha256="0" * 64,
        flavour="tensorrt",
        tensorrt="10.3.0",
        device=ORIN_NANO,
        system=this_system(),
        options={"workspace_mib": 1024},
        plugin=None,
        key="0123456789abcdef",
        power_mode="15W",
        built_at="2026-11-20T12:00:00+00:00",
        build_seconds=1.5,
        gate=None,
        effvit_edge="0.1.0",
    )
    return dataclasses.replace(sidecar, **changes)


def write_engine(folder: Path, mode: Mode = "stream", **changes: Any) -> Path:
    """``m.onnx``, ``m.plan`` and its sidecar in a folder; the plan's path."""
    onnx = write_model(folder / "m.onnx", tiny_card(mode))
    plan = folder / "m.plan"
    plan.write_bytes(b"ftrt" + onnx.read_bytes())
    sidecar = make_sidecar(plan.read_bytes(), mode, **changes)
    sidecar_path(plan).write_text(sidecar.to_json())
    return plan


def fake_library(onnx: Path, memory: FakeMemory, version: str = "10.3.0") -> FakeLibrary:
    """A TensorRT whose every engine is this graph."""
    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    tensors = [
        PlanTensor(TensorSpec(arg.name, _NAMES[arg.type], tuple(arg.shape)), is_input)
        for is_input, args in ((True, session.get_inputs()), (False, session.get_outputs()))
        for arg in args
    ]
    names = [tensor.spec.name for tensor in tensors if not tensor.is_input]

    def compute(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(names, dict(feeds)), strict=True))

    return FakeLibrary(memory, tensors, compute, version)


def open_fake(
    plan: Path, memory: FakeMemory | None = None, tuning: Tuning = DEFAULT
) -> DeviceSession:
    """The engine of ``write_engine``, opened over the fakes."""
    memory = memory or FakeMemory()
    library = fake_library(plan.with_suffix(".onnx"), memory)
    return open_plan(plan, library=library, memory=memory, tuning=tuning)
