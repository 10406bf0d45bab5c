"""One measurement, from a session to a result."""

from __future__ import annotations

import datetime
import platform
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol

import numpy as np

from effvit_edge import __version__
from effvit_edge.bench import statistics
from effvit_edge.bench.compare import REPEATABLE
from effvit_edge.bench.harness import Measurement, measure, warm_up
from effvit_edge.bench.load import BUSY_CORES, LoadMark, mark, others
from effvit_edge.bench.probes import Sampler, Samples, find_probes
from effvit_edge.bench.result import (
    SCHEMA_VERSION,
    Artifact,
    Device,
    Result,
    Sensor,
    Settings,
)
from effvit_edge.bench.scenarios import Setup
from effvit_edge.bench.speed import Speed, measure_speed
from effvit_edge.bench.statistics import Times
from effvit_edge.bench.work import LabelWork, VideoWork, rendered_pictures
from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.device import DeviceRoot, Identity, identify
from effvit_edge.core.files import sha256_file
from effvit_edge.runtime import Session
from effvit_edge.runtime.onnxrt import short_report

_NAMED = (
    "numpy", "onnxruntime", "onnxruntime-gpu", "tensorrt", "cuda-bindings",
    "opencv-python", "opencv-python-headless",
)  # fmt: skip
_CURVE = (*np.linspace(0.01, 0.98, 98).round(2).tolist(), 0.99, 0.995, 0.999, 0.9999)
_MOST_SAMPLES, _MOST_READINGS = 4000, 600
_SMALL_COUNT = 1000
"""Below so many, the 99.9th percentile is the largest value or nearly so."""


@dataclass(frozen=True)
class Job:
    """What is to be measured."""

    path: Path
    session: Session
    setup: Setup
    threads: int
    picture_hw: tuple[int, int] = (720, 1280)
    """Of the pictures that are shown; the usual camera's."""
    video: Path | None = None
    """Frames of this file instead of rendered pictures; then decoding is measured, too."""


def run(
    job: Job,
    clock: Clock | None = None,
    root: DeviceRoot | None = None,
    *,
    warm_up_seconds: float = 2.0,
    stop: Stop | None = None,
) -> Result:
    """Warm up, measure with the sensors beside it, sum up. Ctrl-C ends it and keeps what there is.

    Args:
        job: what.
        clock: tells the time.
        root: where the device's files lie.
        warm_up_seconds: the least.
        stop: told when there begins to be something to lose, and asked then whether to stop.

    Raises:
        EdgeError: the session failed.
        KeyboardInterrupt: before anything was measured.
    """
    clock = clock or MonotonicClock()
    root = root or DeviceRoot()
    identity = identify(root)
    setup = job.setup
    with ExitStack() as opened:
        work = _work(job, clock, opened)
        warmed = warm_up(work, clock, least_seconds=warm_up_seconds)
        found = find_probes(identity, root)
        opened.callback(found.close)
        speed, before = measure_speed(clock), mark(root)
        with Sampler(found.probes, clock) as sampler:
            asked = None
            if stop is not None:
                stop.hold()
                asked = stop.asked
            limits, stages = setup.limits, work.stages
            measured = measure(work, stages, limits, warmed, clock, idle=time.sleep, stop=asked)
        around = _Around((before, mark(root)), (speed, measure_speed(clock)))
    if not len(measured.total):
        raise KeyboardInterrupt
    return _sum_up(job, identity, measured, sampler.samples, found.absent, around)


class Stop(Protocol):
    """Being asked to stop while something is measured."""

    def hold(self) -> None:
        """From now on, raise nothing: what is measured would be lost."""

    def asked(self) -> bool:
        """Whether to stop."""


@dataclass(frozen=True)
class _Around:
    """What was noted right before and right after the run."""

    marks: tuple[LoadMark, LoadMark]
    speeds: tuple[Speed, Speed]


def _work(job: Job, clock: Clock, opened: ExitStack) -> LabelWork | VideoWork:
    """What is done again and again."""
    if job.video is not None:
        video = VideoWork(job.session, job.video, clock)
        opened.callback(video.close)
        return video
    pictures = rendered_pictures(*job.picture_hw)
    setup = job.setup
    return LabelWork(job.session, pictures, setup.streams, clock, prepared=setup.prepared)


def _sum_up(
    job: Job,
    identity: Identity,
    measured: Measurement,
    samples: Samples,
    absent: Mapping[str, str],
    around: _Around,
) -> Result:
    card, setup = job.session.card, job.setup
    busy, drift = others(*around.marks), statistics.drift(measured.total)
    per_query = {name: measured.times[name] for name in measured.stages}
    ordered = np.sort(measured.total)
    return Result(
        schema_version=SCHEMA_VERSION,
        date=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        artifact=_artifact(job),
        device=_device(identity),
        software=_software(),
        settings=Settings(
            scenario=setup.scenario,
            streams=setup.streams,
            picture_height=None if job.video else job.picture_hw[0],
            picture_width=None if job.video else job.picture_hw[1],
            video=job.video.name if job.video else None,
            provider=short_report(job.session.provider_report),
            switches=job.session.telemetry.switches,
            split_by=job.session.telemetry.split_by,
            threads=job.threads,
            seconds=setup.limits.seconds,
            count=setup.limits.count,
        ),
        warm_up_seconds=round(measured.warm_up.seconds, 3),
        warm_up_count=measured.warm_up.count,
        steady=measured.warm_up.steady,
        count=len(measured.total),
        seconds=measured.seconds,
        labels_per_second=measured.rate * setup.streams,
        stages={name: statistics.latency(times) for name, times in per_query.items()},
        total=statistics.latency(measured.total),
        mlperf_p90=statistics.upper_bound(measured.total),
        clip_span=(card.num_frames - 1) / card.fps * 1000,
        energy_joules=samples.joules(),
        sensors=tuple(_sensor(samples, name) for name in samples.names),
        absent_sensors=dict(absent),
        others_cores=busy,
        speed=around.speeds[0],
        speed_after=around.speeds[1],
        drift=drift,
        tainted=tuple(_taints(measured, samples, busy, drift, around.speeds)),
        interrupted=measured.interrupted,
        notes=tuple(_notes(measured, busy)),
        layers=(),
        curve=tuple((share, float(np.quantile(ordered, share))) for share in _CURVE),
        samples=_thinned(measured.started, measured.total, _MOST_SAMPLES),
    )


def _artifact(job: Job) -> Artifact:
    card = job.session.card
    return Artifact(
        name=job.path.name,
        sha256=sha256_file(job.path),
        bytes=job.path.stat().st_size,
        variant=card.variant,
        mode=card.mode,
        precision=card.precision,
        height=card.preprocess.height,
        width=card.preprocess.width,
        fps=card.fps,
        window_frames=card.num_frames,
    )


def _device(identity: Identity) -> Device:
    power = identity.power.name if identity.power else None
    return Device(identity.kind, identity.model, identity.l4t, identity.jetpack, power)


def _software() -> dict[str, str]:
    found = {"effvit-edge": __version__, "python": platform.python_version()}
    found["system"] = f"{platform.system()} {platform.release()}"
    for name in _NAMED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _sensor(samples: Samples, name: str) -> Sensor:
    series = samples.series(name)
    values = [value for _, value in series]
    mean = samples.mean(name)
    at, read = (np.array(column) for column in zip(*series, strict=True))
    thinned = _thinned(at, read, _MOST_READINGS)
    return Sensor(name, mean or 0.0, min(values), max(values), thinned)


def _thinned(at: Times, values: Times, most: int) -> tuple[tuple[float, float], ...]:
    step = max(1, -(-len(values) // most))
    pairs = zip(at[::step].tolist(), values[::step].tolist(), strict=True)
    return tuple((round(x, 4), round(y, 4)) for x, y in pairs)


def _taints(
    measured: Measurement,
    samples: Samples,
    busy: float | None,
    drift: float | None,
    speeds: tuple[Speed, Speed],
) -> list[str]:
    """What makes these figures not those of the device."""
    found = [f"{part} was throttled" for part in samples.throttled]
    if busy is not None and busy > BUSY_CORES:
        found.append(f"other processes kept {busy:.2f} cores busy")
    if not measured.warm_up.steady:
        found.append(f"times were not steady after {measured.warm_up.seconds:.0f} s of warm-up")
    if drift is not None and drift > REPEATABLE:
        found.append(f"times drifted: the slowest tenth took {drift:.0%} longer than the fastest")
    changes = speeds[0].changes(speeds[1])
    return found + [f"the machine changed its own speed: {change}" for change in changes]


def _notes(measured: Measurement, busy: float | None) -> list[str]:
    found = []
    if busy is None:
        found.append("what else the machine did cannot be told, as of so short a run")
    if measured.interrupted:
        found.append("interrupted: these are the figures until then")
    if len(measured.total) < _SMALL_COUNT:
        found.append(f"{len(measured.total)} queries are few for the 99.9th percentile")
    return found
