"""``python -m benchmarks.streaming``: measure, print a table, write the result as JSON."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import platform
import re
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.streaming.forms import (
    ATTENTION_ONLY,
    CONV3D,
    EVERYWHERE,
    IMAGE,
    LOWERED,
    Form,
    build_forms,
)
from benchmarks.streaming.measure import Timing, answer, measure
from effvit_edge.core.files import atomic_path
from effvit_edge.export.presets import random_preset
from effvit_edge.export.samples import Clips, render_samples
from effvit_edge.nn.efficientvit.builders import Five
from effvit_edge.nn.efficientvit.presets import DEFAULT_TEMPORAL_KERNELS

RESULTS = Path(__file__).resolve().parents[1] / "results"
_AGREE = 1e-4


@dataclasses.dataclass(frozen=True)
class Target:
    """A ratio of two medians and the bound it has to keep."""

    slow: str
    fast: str
    bound: float
    at_least: bool
    """The slow form takes at least ``bound`` times as long; otherwise at most."""


TARGETS = (
    Target(CONV3D, "step_everywhere", 16.0, True),
    Target(CONV3D, "step_default", 20.0, True),
    Target(CONV3D, LOWERED, 2.0, True),
    Target("step_everywhere", IMAGE, 1.75, False),
    Target("step_default", IMAGE, 1.4, False),
    Target("step_attention_only", IMAGE, 1.1, False),
)


def _kernels(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> list[Five]:
    parsed: list[Five] = []
    for value in values:
        numbers = [int(part) for part in re.findall(r"\d+", value)]
        if len(numbers) != 5:
            raise click.BadParameter("takes five numbers, for example 3,1,1,3,3")
        stem, one, two, three, four = numbers
        parsed.append((stem, one, two, three, four))
    return parsed


@click.command()
@click.option("--variant", default="b1", show_default=True)
@click.option("--size", default=224, show_default=True, help="Side of the input, pixels.")
@click.option("--frames", default=8, show_default=True, help="Clip length and window.")
@click.option("--rounds", type=click.IntRange(min=20), default=30, show_default=True)
@click.option("--kernels", multiple=True, callback=_kernels, help="Also a step with 3,1,1,3,3.")
@click.option("--graphs", type=click.Path(path_type=Path), help="Keep the ONNX files in a folder.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="JSON file.")
def main(
    variant: str,
    size: int,
    frames: int,
    rounds: int,
    kernels: list[Five],
    graphs: Path | None,
    output: Path | None,
) -> None:
    """Compare what one label costs in each form; needs an otherwise idle machine."""
    steps = list(dict.fromkeys([EVERYWHERE, DEFAULT_TEMPORAL_KERNELS, ATTENTION_ONLY, *kernels]))
    with tempfile.TemporaryDirectory() as scratch:
        folder = graphs or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        forms = build_forms(folder, variant, size, frames, steps)
        clip = _clip(variant, size, frames)
        _check_same(forms, clip)
        load_before = os.getloadavg()
        timings = measure(forms, clip, rounds)
        sizes = {form.name: form.path.stat().st_size for form in forms}
    report = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": {**_machine(), "load_average_before": load_before},
        "versions": {name: version(name) for name in ("onnxruntime", "onnx", "torch", "numpy")},
        "method": {
            "network": f"EfficientViT-{variant.upper()}, random weights, float32",
            "input": [size, size],
            "frames": frames,
            "threads": 1,
            "rounds": rounds,
            "order": "round robin, one untimed and one timed call each",
            "default_temporal_kernels": DEFAULT_TEMPORAL_KERNELS,
        },
        "timings_ms": {name: dataclasses.asdict(timing) for name, timing in timings.items()},
        "onnx_bytes": sizes,
        "ratios": [_judge(target, timings) for target in TARGETS],
    }
    for line in _table(timings, report["ratios"]):
        print(line)
    path = output or RESULTS / f"cpu-{_slug()}" / f"{datetime.date.today()}-streaming.json"
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path}")


def _clip(variant: str, size: int, frames: int) -> Clips:
    _, card = random_preset(f"efficientvit_{variant}", "stream", input_size=size)
    clip: Clips = render_samples(card, frames)[0]
    return clip


def _check_same(forms: list[Form], clip: Clips) -> None:
    """The two clip forms must be one network, or their ratio says nothing."""
    by_name = {form.name: form for form in forms}
    difference = np.abs(answer(by_name[CONV3D], clip) - answer(by_name[LOWERED], clip)).max()
    if not difference <= _AGREE:
        raise click.ClickException(f"the clip forms differ by {difference:.1e}")


def _judge(target: Target, timings: dict[str, Timing]) -> dict[str, Any]:
    slow, fast = timings[target.slow], timings[target.fast]
    ratio = slow.median_ms / fast.median_ms
    return {
        "ratio": f"{target.slow} / {target.fast}",
        "value": round(ratio, 3),
        "by_cpu_time": round(slow.cpu_median_ms / fast.cpu_median_ms, 3),
        "bound": f"{'>=' if target.at_least else '<='} {target.bound:g}",
        "met": ratio >= target.bound if target.at_least else ratio <= target.bound,
    }


def _table(timings: dict[str, Timing], ratios: Any) -> list[str]:
    clip, image = timings[CONV3D].median_ms, timings[IMAGE].median_ms
    lines = [
        f"{'form':22}{'median ms':>10}{'cpu ms':>10}{'p90 ms':>10}{'conv3d /':>10}{'/ image':>9}"
    ]
    for name, t in sorted(timings.items(), key=lambda item: -item[1].median_ms):
        lines.append(
            f"{name:22}{t.median_ms:10.2f}{t.cpu_median_ms:10.2f}{t.p90_ms:10.2f}"
            f"{clip / t.median_ms:10.2f}{t.median_ms / image:9.2f}"
        )
    lines.append("")
    for row in ratios:
        verdict = "met" if row["met"] else "MISSED"
        lines.append(
            f"{row['ratio']:36}{row['value']:8.2f}  (cpu time {row['by_cpu_time']:.2f})  "
            f"{row['bound']:8} {verdict}"
        )
    return lines


def _machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    """The model's name as Linux tells it, else what Python knows."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else platform.machine()


def _slug() -> str:
    return re.sub(r"[^a-z0-9]+", "-", _processor().lower()).strip("-")


if __name__ == "__main__":
    main()
