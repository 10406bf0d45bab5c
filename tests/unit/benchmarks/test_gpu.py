"""The benchmark for GPUs, on a machine without one: that it runs at all, and what it counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from benchmarks.gpu.__main__ import main
from benchmarks.gpu.memory import saved_bytes
from benchmarks.gpu.plan import Size, batch_for
from benchmarks.variants.fixed_batch import CLASSES


def test_without_a_gpu_it_says_so_and_ends_with_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = CliRunner().invoke(main, ["--output", str(tmp_path / "out")])
    assert result.exit_code == 3
    assert "torch finds no CUDA device" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_dry_run_goes_through_every_part(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main, ["--output", str(tmp_path), "--dry-run", "--variant", "b0"], catch_exceptions=False
    )
    assert result.exit_code == 0
    content = json.loads((tmp_path / "gpu.json").read_text("utf-8"))
    assert content["dry_run"] and content["device"] == "CPU, dry run"
    assert [(r["variant"], r["causal"]) for r in content["runs"]] == [("b0", False), ("b0", True)]
    changes = [(r["recompute"], r["compile"]) for r in content["ratios"]]
    assert changes == [(False, False), (True, False)]
    assert content["together"][0]["processes"] == 2
    for run in (*content["runs"], *content["ratios"], *content["together"]):
        assert not any(run["not_finite"].values())
        assert run["peak_bytes"] is None


def test_counted_activations_grow_with_frames_and_pixels() -> None:
    counted = saved_bytes("efficientvit3d_b0", size=64, frames=4)
    assert counted > 4 * 3 * 64 * 64 * 2  # at least the clip itself, in half precision
    assert saved_bytes("efficientvit3d_b0", size=64, frames=8) == pytest.approx(2 * counted, 0.05)
    assert saved_bytes("efficientvit3d_b0", size=128, frames=4) == pytest.approx(4 * counted, 0.05)
    recomputed = saved_bytes("efficientvit3d_b0", size=64, frames=4, recompute=True)
    assert recomputed < 0.3 * counted


@pytest.mark.parametrize("gigabytes", [80, 24, 1, 0.01])
def test_a_batch_has_every_class_and_should_fit(gigabytes: float) -> None:
    size, memory = Size(pixels=64, frames=4), int(gigabytes * 2**30)
    batch = batch_for("b0", size, causal=False, memory=memory)
    assert batch % CLASSES == 0
    needed = batch * saved_bytes("efficientvit3d_b0", size=64, frames=4)
    assert needed <= memory / 2 or batch == CLASSES
