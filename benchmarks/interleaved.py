"""Times of several ways to do the same thing, taken in turn in one process."""

from __future__ import annotations

import datetime
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one way over all rounds."""

    median_ms: float
    p10_ms: float
    p90_ms: float
    cpu_median_ms: float
    """Of all threads of the process: what others on the machine took is not in it."""


def measure(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Timing]:
    """Every way once a round, so that a slow minute hits all of them.

    Args:
        ways: what to time, by name; called once untimed before each timed call.
        rounds: how many; a tenth as many warm up.
    """
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(-(-rounds // 10) + rounds):
        for name, call in ways.items():
            call()
            started, started_cpu = time.perf_counter(), time.process_time()
            call()
            ended, ended_cpu = time.perf_counter(), time.process_time()
            if number >= rounds // 10:
                wall[name].append((ended - started) * 1e3)
                cpu[name].append((ended_cpu - started_cpu) * 1e3)
    return {name: _timing(wall[name], cpu[name]) for name in ways}


def circumstances() -> dict[str, Any]:
    """When, on what and with what, for a record."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": {
            "processor": processor(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "load_average": os.getloadavg(),
        },
        "versions": {name: version(name) for name in ("onnxruntime", "numpy")},
    }


def processor() -> str:
    """The model's name as Linux tells it, else what Python knows."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else platform.machine()


def record_path(name: str) -> Path:
    """Where a record of this machine lies."""
    slug = re.sub(r"[^a-z0-9]+", "-", processor().lower()).strip("-")
    return RESULTS / f"cpu-{slug}" / f"{datetime.date.today()}-{name}.json"


def _timing(wall: list[float], cpu: list[float]) -> Timing:
    deciles = statistics.quantiles(wall, n=10)
    return Timing(statistics.median(wall), deciles[0], deciles[-1], statistics.median(cpu))
