"""Measure the overlap of the pipeline and the latency of its labels. See the README beside this.

``python -m benchmarks.pipeline VIDEO [--model MODEL]``
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pipeline.stages import PacedFile, Round, measure_round, together
from effvit_edge.runtime import Session, open_session

_DIGITS = 4


def overlap(path: Path, session: Session, frames: int, rounds: int) -> dict[str, Any]:
    """The halves and the whole, in turns; the first round is not counted."""
    measure_round(path, session, frames)
    done = [measure_round(path, session, frames) for _ in range(rounds)]
    return {
        "frames": frames,
        "rounds": [_seconds(one) for one in done],
        "fps": {
            name: round(frames / statistics.median(getattr(one, name).wall for one in done), 1)
            for name in ("read", "infer", "both")
        },
        "overlap_median": round(statistics.median(one.overlap for one in done), _DIGITS),
        "overlap_best": round(max(one.overlap for one in done), _DIGITS),
        "cpu_cost_median": round(statistics.median(one.cpu_cost for one in done), _DIGITS),
    }


def latency(path: Path, session: Session, frames: int, fps: float) -> dict[str, Any]:
    """Of the labels of a film that passes for a camera; the first second is not counted."""
    totals = together(PacedFile(path, frames, fps), session)
    settled = totals[round(session.card.fps) :]
    p50, p90, p99 = np.percentile(settled, [50, 90, 99])
    return {
        "paced_fps": fps,
        "labels": len(settled),
        "total_ms": {"p50": round(p50, 2), "p90": round(p90, 2), "p99": round(p99, 2)},
        "limit_ms": round(2000 / fps, 2),
    }


def _seconds(one: Round) -> dict[str, dict[str, float]]:
    spent = {"read": one.read, "infer": one.infer, "both": one.both}
    return {
        name: {"wall": round(each.wall, _DIGITS), "cpu": round(each.cpu, _DIGITS)}
        for name, each in spent.items()
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--model", type=Path, default=Path("models/demo.onnx"))
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--paced-frames", type=int, default=900)
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args(arguments)
    before = os.getloadavg()
    with open_session(given.model, provider="cpu", threads=1) as session:
        report: dict[str, Any] = {
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "cores": len(os.sched_getaffinity(0)),
            "model": session.card.variant,
            "provider": session.provider_report,
            "overlap": overlap(given.video, session, given.frames, given.rounds),
            "latency": latency(given.video, session, given.paced_frames, given.fps),
        }
    report["load_average"] = {"before": before, "after": os.getloadavg()}
    text = json.dumps(report, indent=2)
    print(text)
    if given.output:
        given.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
