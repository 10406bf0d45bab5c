"""``python -m benchmarks.loader``: clips a second and core, from the originals and prepared."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.loader.loops import VIDEOS, Loop, find_loops, originals, package_loop
from benchmarks.loader.report import write_result
from effvit_edge.core.card import IMAGENET_MEAN, IMAGENET_STD, Preprocess
from effvit_edge.core.optional import require
from effvit_edge.data.augment import Augmentation
from effvit_edge.data.clip_spec import ClipSpec
from effvit_edge.data.clips import VideoClips
from effvit_edge.data.footage import open_footage
from effvit_edge.data.prepare.manifest import load_manifest
from effvit_edge.data.segments import Segment
from effvit_edge.data.sets import open_part, open_split

KINDS: Mapping[str, tuple[int, float | None]] = {
    "8 frames at 10 a second": (8, 10.0),
    "16 frames at 15 a second": (16, 15.0),
    "24 frames at 10 a second": (24, 10.0),
    "16 frames, uniform": (16, None),
}
"""Frames of a clip, and their rate; None spreads them over the segment."""
TRAINING = "training clip: 24 frames at 10 a second, augmented"
TARGET = 5.0


@click.command()
@click.option("--videos", type=click.Path(path_type=Path), required=True, help="The originals.")
@click.option("--prepared", type=click.Path(path_type=Path), required=True, help="Made from them.")
@click.option("--clips", default=20, show_default=True, help="Clips of each kind.")
@click.option("--run", type=click.Path(path_type=Path), help="A training run on the prepared set.")
@click.option("--originals-run", type=click.Path(path_type=Path), help="The same on the originals.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="JSON file.")
def main(
    videos: Path,
    prepared: Path,
    clips: int,
    run: Path | None,
    originals_run: Path | None,
    output: Path | None,
) -> None:
    """Time every loader on the same clips and print a table."""
    require("cv2", "video").setNumThreads(1)
    form = load_manifest(prepared).form
    parts = [open_part("prepared", prepared, None, part, options={}) for part in ("train", "eval")]
    stored = {s.name: (s, part.storage) for part in parts for s in part.segments}
    segments = [segment for segment in originals(videos) if segment.name in stored]
    durations = {s.name: open_footage(s, VIDEOS).duration_s() for s in segments}
    others, absent = find_loops(form.short_side)
    loops = [package_loop(VIDEOS, form.short_side), *others]
    rows: list[dict[str, Any]] = []
    for kind in KINDS:
        jobs = draw_jobs(kind, segments, durations, clips)
        row: dict[str, float] = {loop.name: rate(loop, jobs) for loop in loops}
        in_shards = [(*stored[segment.name], times) for segment, times in jobs]
        row["effvit-edge, prepared"] = prepared_rate(in_shards, form.short_side)
        rows.append({"clips": kind, **row})
        ratio = row["effvit-edge, prepared"] / row["effvit-edge, originals"]
        shown = ", ".join(f"{name} {value:.1f}" for name, value in row.items())
        click.echo(f"{kind}: {shown} clips/s; prepared is {ratio:.0f} times the originals")
    rows.append(training_row(videos, prepared, clips))
    shown = ", ".join(f"{name} {value:.1f}" for name, value in list(rows[-1].items())[1:])
    click.echo(f"{TRAINING}: {shown} clips/s")
    for name, why in absent.items():
        click.echo(f"not measured: {name}: {why}")
    runs = {"prepared": run, "originals": originals_run}
    waits = {name: data_wait(folder) for name, folder in runs.items() if folder is not None}
    for name, wait in waits.items():
        click.echo(f"training waits for clips, {name}: {wait['median']:.1%} of the time (median)")
    worst = min(r["effvit-edge, prepared"] / r["effvit-edge, originals"] for r in rows)
    click.echo(
        f"at least {TARGET:g} times: {'kept' if worst >= TARGET else 'MISSED'} ({worst:.0f})"
    )
    if output is not None:
        method = {"videos": len(segments), "clips": clips, "short_side": form.short_side}
        figures = {"method": method, "clips_per_second_core": rows, "not_measured": absent}
        write_result(output, {**figures, "data_wait": waits})


def training_row(videos: Path, prepared: Path, count: int) -> dict[str, Any]:
    """Whole training clips, cropped to 112², mirrored and coloured, as the loader hands them on."""
    sets = {
        "effvit-edge, originals": ("folder", videos),
        "effvit-edge, prepared": ("prepared", prepared),
    }
    row: dict[str, Any] = {"clips": TRAINING}
    for name, (kind, folder) in sets.items():
        train, _ = open_split(
            kind,
            folder,
            None,
            options={},
            train_filters=(),
            eval_filters=(),
            eval_share=0.2,
            seed=0,
        )
        clips = VideoClips(
            train,
            ClipSpec(Preprocess(112, 112, "short_side", 1.0, IMAGENET_MEAN, IMAGENET_STD), 10, 24),
            seed=0,
            augmentation=Augmentation(scale=(0.4, 1.0), flip=0.5, color=0.3),
        )
        _ = clips[0]
        started = time.process_time()
        for number in range(1, count + 1):
            _ = clips[number]
        row[name] = count / (time.process_time() - started)
    return row


def draw_jobs(
    kind: str, segments: Sequence[Segment], durations: Mapping[str, float], count: int
) -> list[tuple[Segment, list[float]]]:
    """Segments in turn, each with the times of a clip of it; the same for every loader."""
    rng = np.random.default_rng(0)
    frames, fps = KINDS[kind]
    jobs = []
    for number in range(count):
        segment = segments[number % len(segments)]
        seconds = durations[segment.name]
        if fps is None:
            times = (np.arange(frames) + rng.uniform(size=frames)) * seconds / frames
        else:
            times = rng.uniform(0, max(0.0, seconds - frames / fps)) + np.arange(frames) / fps
        jobs.append((segment, np.minimum(times, seconds).tolist()))
    return jobs


def rate(loop: Loop, jobs: Sequence[tuple[Segment, Sequence[float]]]) -> float:
    """Clips a second of the processor's time; the first clip, which warms up, is not counted."""
    loop.load(*jobs[0])
    started = time.process_time()
    for segment, times_s in jobs:
        loop.load(segment, times_s)
    return len(jobs) / (time.process_time() - started)


def prepared_rate(jobs: Sequence[tuple[Segment, Any, Sequence[float]]], short_side: int) -> float:
    """The same for segments in shards, ten times over: a clip is too short to time alone."""
    repeats = 10
    loops = {storage: package_loop(storage, short_side) for _, storage, _ in jobs}
    loops[jobs[0][1]].load(jobs[0][0], jobs[0][2])
    started = time.process_time()
    for _ in range(repeats):
        for segment, storage, times_s in jobs:
            loops[storage].load(segment, times_s)
    return repeats * len(jobs) / (time.process_time() - started)


def data_wait(run: Path) -> dict[str, Any]:
    """What a run says of the share of time that it waited for clips, after its first record."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    shares = [record["data_wait_share"] for record in records if "data_wait_share" in record][1:]
    if not shares:
        raise click.ClickException(f"{run} has too few records of data_wait_share.")
    return {"records": len(shares), "median": statistics.median(shares), "most": max(shares)}


if __name__ == "__main__":
    main()
