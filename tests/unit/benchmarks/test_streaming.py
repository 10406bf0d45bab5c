from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.streaming.__main__ import RESULTS, TARGETS, _judge, _table
from benchmarks.streaming.forms import ATTENTION_ONLY, EVERYWHERE, Conv3dClip, Form, step_name
from benchmarks.streaming.measure import Timing, answer, measure
from effvit_edge.nn import fuse_for_inference
from effvit_edge.nn.efficientvit.presets import DEFAULT_TEMPORAL_KERNELS
from tests.unit.export.networks import SIZE, make_model, stream

README = RESULTS.parent / "streaming" / "README.md"


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    paths = RESULTS.glob("cpu-*/*-streaming.json")
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    newest: dict[str, Any] = max(reports, key=lambda found: found["date"])
    return newest


def test_the_recorded_figures_keep_their_bounds(report: dict[str, Any]) -> None:
    timings = {name: Timing(**t) for name, t in report["timings_ms"].items()}
    judged = [_judge(target, timings) for target in TARGETS]
    assert judged == report["ratios"]
    assert all(row["met"] for row in judged)
    assert report["method"]["rounds"] >= 20


def test_the_recorded_default_is_still_the_default(report: dict[str, Any]) -> None:
    recorded = tuple(report["method"]["default_temporal_kernels"])
    assert recorded == DEFAULT_TEMPORAL_KERNELS, "measure again: python -m benchmarks.streaming"


def test_the_readme_tells_the_recorded_figures(report: dict[str, Any]) -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| ([\d.]+) \|", README.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(rows) == 6
    for name, median in rows:
        assert float(median) == pytest.approx(report["timings_ms"][name]["median_ms"], abs=0.006)


def test_names_of_steps() -> None:
    assert step_name(EVERYWHERE) == "step_everywhere"
    assert step_name(DEFAULT_TEMPORAL_KERNELS) == "step_default"
    assert step_name(ATTENTION_ONLY) == "step_attention_only"
    assert step_name((5, 1, 1, 1, 3)) == "step_51113"


def test_the_conv3d_form_is_the_same_network() -> None:
    model, card = make_model(num_frames=4, temporal_kernels=EVERYWHERE)
    frames = torch.randint(0, 256, (4, SIZE, SIZE, 3), dtype=torch.uint8)
    spec = card.preprocess
    x = (frames / 255.0 - torch.tensor(spec.mean)) / torch.tensor(spec.std)
    with torch.no_grad():
        expected = model(x.permute(3, 0, 1, 2)[None])[0]
        got = Conv3dClip(fuse_for_inference(model), spec)(frames)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)


def test_measuring_steps_through_the_frames(tmp_path: Path) -> None:
    path = tmp_path / "step.onnx"
    path.write_bytes(stream().proto.SerializeToString())
    form = Form("step", path)
    frames = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), dtype=np.uint8)
    timing = measure([form], frames, rounds=2)["step"]
    assert 0 < timing.min_ms <= timing.median_ms
    assert answer(form, frames).shape == (5,)


def test_a_missed_bound_is_said() -> None:
    slow, fast = (Timing(ms, ms, ms, ms, ms) for ms in (30.0, 10.0))
    timings = {
        "conv3d_clip": slow,
        "image": fast,
        "lowered_clip": fast,
        "step_everywhere": fast,
        "step_default": fast,
        "step_attention_only": fast,
    }
    ratios = [_judge(target, timings) for target in TARGETS]
    assert [row["met"] for row in ratios] == [False, False, True, True, True, True]
    assert sum("MISSED" in line for line in _table(timings, ratios)) == 2
