"""Results as a run would give them, with the parts that a test cares about."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from effvit_edge.bench.result import (
    SCHEMA_VERSION,
    Artifact,
    Device,
    Result,
    Sensor,
    Settings,
)
from effvit_edge.bench.speed import Speed
from effvit_edge.bench.statistics import latency
from effvit_edge.runtime.tuning import Switches

ARTIFACT = Artifact(
    "demo.onnx", "ab" * 32, 16351, "efficientvit3d_b0", "stream", "fp32", 64, 64, 15, 4
)
COMPUTER = Device("x86", "AMD EPYC", None, None, None)
JETSON = Device("jetson", "NVIDIA Jetson Orin Nano Developer Kit", "36.4.3", "6.2", "25W")
SWITCHES = Switches("none on a CPU", "threads sleep", "none on a CPU")
SETTINGS = Settings(
    scenario="single-stream",
    streams=1,
    picture_height=720,
    picture_width=1280,
    video=None,
    provider="ONNX Runtime on the CPU",
    switches=SWITCHES,
    split_by="",
    threads=1,
    seconds=60.0,
    count=None,
)


def result(times: np.ndarray | None = None, **changes: Any) -> Result:
    """A result of these milliseconds, a tenth of them preprocessing."""
    if times is None:
        times = np.random.default_rng(0).normal(10, 0.5, size=2000)
    at = np.cumsum(times) / 1000
    whole = Result(
        schema_version=SCHEMA_VERSION,
        date="2026-11-20T12:00:00+00:00",
        artifact=ARTIFACT,
        device=COMPUTER,
        software={"effvit-edge": "0.1.0"},
        settings=SETTINGS,
        warm_up_seconds=2.0,
        warm_up_count=200,
        steady=True,
        count=len(times),
        seconds=float(at[-1]),
        labels_per_second=len(times) / float(at[-1]),
        stages={"preprocess": latency(times * 0.1), "infer": latency(times * 0.9)},
        total=latency(times),
        mlperf_p90=11.0,
        clip_span=200.0,
        energy_joules={"VDD_IN": 100.0},
        sensors=(Sensor("power_w.VDD_IN", 5.0, 4.0, 6.0, ((0.0, 4.0), (1.0, 6.0))),),
        absent_sensors={"NVML": "nvidia-ml-py is not installed"},
        others_cores=0.01,
        speed=Speed(0.57, 0.65),
        speed_after=Speed(0.57, 0.66),
        drift=0.01,
        tainted=(),
        interrupted=False,
        notes=(),
        layers=(),
        curve=tuple((s, float(np.quantile(times, s))) for s in (0.1, 0.5, 0.9, 0.99, 0.999)),
        samples=tuple(zip(at.round(4).tolist(), times.round(4).tolist(), strict=True)),
    )
    return dataclasses.replace(whole, **changes)
