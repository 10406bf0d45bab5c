"""``python -m benchmarks.estimate``: fit the shares that layers reach; see how far off they are."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import json
import math
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx

from effvit_edge.bench.estimate import DEVICES, DeviceRates, predict
from effvit_edge.core.files import atomic_path
from effvit_edge.core.onnx_header import OnnxHeader, read_onnx_header
from effvit_edge.export.onnx import build_onnx
from effvit_edge.export.precision.fp16 import to_fp16
from effvit_edge.export.presets import random_preset
from effvit_edge.runtime import open_session

PUBLISHED = {
    "agx-orin": {"b1": 1.48, "b2": 2.63, "b3": 4.36},
    "jetson-nano": {"b1": 24.8, "b2": 50.6, "b3": 101.0},
}
"""Milliseconds at 224², TensorRT FP16, batch 1: mit-han-lab/efficientvit,
applications/efficientvit_cls/README.md."""
FITTED, CHECKED = "agx-orin", "jetson-nano"
SHARES = {
    "compute_share": np.geomspace(0.05, 0.9, 30).round(3).tolist(),
    "memory_share": np.geomspace(0.1, 0.9, 24).round(3).tolist(),
    "launch_microseconds": [0.5, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20],
}
"""What is tried."""
_ROUNDS = 15
_SIDE = 1024


def fit(
    device: DeviceRates, headers: Mapping[str, OnnxHeader], truth: Mapping[str, float]
) -> DeviceRates:
    """The shares with the least largest error."""
    options = [
        dataclasses.replace(device, **dict(zip(SHARES, values, strict=True)))
        for values in itertools.product(*SHARES.values())
    ]
    return min(options, key=lambda option: worst(errors(option, headers, truth)))


def errors(
    device: DeviceRates, headers: Mapping[str, OnnxHeader], truth: Mapping[str, float]
) -> dict[str, float]:
    """Estimate over truth, less one."""
    return {
        name: round(predict(headers[name], device).milliseconds / value - 1, 4)
        for name, value in truth.items()
    }


def worst(found: Mapping[str, float]) -> float:
    """The largest factor that an estimate is off by, as a logarithm."""
    return max(abs(math.log1p(error)) for error in found.values())


def export_images(folder: Path, names: tuple[str, ...], size: int) -> dict[str, Path]:
    """Image networks with random weights, in float32."""
    paths = {}
    for name in names:
        path = folder / f"{name}.onnx"
        model, card = random_preset(f"efficientvit_{name}", "stream", input_size=size)
        onnx.save(build_onnx(model, card, mode="stream"), path)
        paths[name] = path
    return paths


def in_half(path: Path) -> OnnxHeader:
    """The same network in FP16."""
    half = path.with_name(f"{path.stem}-fp16.onnx")
    onnx.save(to_fp16(onnx.load(path)), half)
    return read_onnx_header(half)


def measured(path: Path) -> float:
    """Median milliseconds of the network on one core of this machine."""
    with open_session(path, "cpu", 1) as session:
        spec = session.card.preprocess
        frame = np.zeros((spec.height, spec.width, 3), np.uint8)
        state = session.init_state()
        return 1000 * _median(lambda: session.step(frame, state))


def this_core() -> DeviceRates:
    """One core's peaks, by numpy: a product of large matrices, a copy larger than its caches."""
    left = np.random.default_rng(0).normal(size=(_SIDE, _SIDE)).astype(np.float32)
    flops = 2 * _SIDE**3 / _median(lambda: left @ left)
    source, target = np.ones(1 << 26, np.uint8), np.empty(1 << 26, np.uint8)
    copied = 2 * source.nbytes / _median(lambda: np.copyto(target, source))
    return DeviceRates(
        "this core", copied / 1e9, {"fp32": flops / 1e12}, "measured by numpy", 1.0, 1.0, 1.0
    )


def _median(call: Callable[[], object]) -> float:
    call()
    times = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _report(device: DeviceRates) -> dict[str, float]:
    return {name: getattr(device, name) for name in SHARES}


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="JSON file.")
def main(output: Path) -> None:
    """Fit on an AGX Orin, check on a Jetson Nano; the same on this core, on other networks."""
    with tempfile.TemporaryDirectory() as name:
        paths = export_images(Path(name), ("b0", "b1", "b2", "b3"), 224)
        half = {key: in_half(paths[key]) for key in ("b1", "b2", "b3")}
        device = fit(DEVICES[FITTED], half, PUBLISHED[FITTED])
        shares = _report(device)
        other = dataclasses.replace(
            DEVICES[CHECKED],
            compute_share=device.compute_share,
            memory_share=device.memory_share,
            launch_microseconds=device.launch_microseconds,
        )
        result: dict[str, Any] = {
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "machine": f"{platform.machine()}, {platform.system()}",
            "published": {
                "shares": shares,
                f"fitted, {FITTED}": errors(device, half, PUBLISHED[FITTED]),
                f"checked, {CHECKED}": errors(other, half, PUBLISHED[CHECKED]),
            },
        }
        whole = {key: read_onnx_header(path) for key, path in paths.items()}
        truth = {key: measured(path) for key, path in paths.items()}
        core = this_core()
        fitted = {key: truth[key] for key in ("b0", "b2")}
        checked = {key: truth[key] for key in ("b1", "b3")}
        own = fit(core, whole, fitted)
        result["this core"] = {
            "peaks": {"gigabytes_per_second": core.gigabytes_per_second, **core.teraflops},
            "milliseconds": truth,
            "shares": _report(own),
            "fitted": errors(own, whole, fitted),
            "checked": errors(own, whole, checked),
        }
    with atomic_path(output) as new:
        new.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
