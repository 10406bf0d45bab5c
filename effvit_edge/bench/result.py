"""What a measurement came to, as it is written down and read again.

Times are milliseconds, unless the name says otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from effvit_edge.bench.speed import Speed
from effvit_edge.bench.statistics import Latency
from effvit_edge.core import schema
from effvit_edge.core.errors import InputError
from effvit_edge.core.files import atomic_path
from effvit_edge.runtime.tuning import LayerTime, Switches

SCHEMA_VERSION = 2
_WHOLE = ("VDD_IN", "VIN", "POM_5V_IN", "psys")
"""Sources that hold the others: the input of a Jetson, by its name on several of them, and a
computer's whole platform."""


@dataclass(frozen=True)
class Artifact:
    """The file that was measured."""

    name: str
    sha256: str
    bytes: int
    variant: str
    mode: str
    precision: str
    height: int
    width: int
    fps: float
    window_frames: int


@dataclass(frozen=True)
class Device:
    """The machine, as it calls itself."""

    kind: str
    model: str
    l4t: str | None
    jetpack: str | None
    power_mode: str | None

    @property
    def title(self) -> str:
        """One line; only what says of itself that it is a Jetson is called one."""
        if self.kind != "jetson":
            return f"{self.model} (not a Jetson)"
        parts = [self.model]
        parts += [f"JetPack {self.jetpack}" if self.jetpack else f"L4T {self.l4t}"]
        return ", ".join([*parts, *([self.power_mode] if self.power_mode else [])])


@dataclass(frozen=True)
class Settings:
    """How it was run."""

    scenario: str
    streams: int
    picture_height: int | None
    picture_width: int | None
    """Of rendered pictures."""
    video: str | None
    """Or the file that frames were read of."""
    provider: str
    """What ran the model."""
    switches: Switches
    split_by: str
    """By whose clock the model's stage is split into the device's parts; empty where it is not."""
    threads: int
    seconds: float | None
    count: int | None


@dataclass(frozen=True)
class Sensor:
    """One value over the run."""

    name: str
    mean: float
    least: float
    most: float
    series: tuple[tuple[float, float], ...]
    """Pairs of seconds and a value."""


@dataclass(frozen=True)
class Result:
    """Everything about one run."""

    schema_version: int
    date: str
    artifact: Artifact
    device: Device
    software: Mapping[str, str]
    settings: Settings
    warm_up_seconds: float
    warm_up_count: int
    steady: bool
    count: int
    """Queries; each has ``settings.streams`` labels."""
    seconds: float
    labels_per_second: float
    stages: Mapping[str, Latency]
    total: Latency
    mlperf_p90: float | None
    """MLPerf's estimate: 99 % sure that the 90th percentile is not higher."""
    clip_span: float
    """From the first to the last frame of the model's window."""
    energy_joules: Mapping[str, float]
    """By source, over the run."""
    sensors: tuple[Sensor, ...]
    absent_sensors: Mapping[str, str]
    others_cores: float | None
    """Cores that other processes kept busy, on average."""
    speed: Speed
    """Of the machine itself, right before the run."""
    speed_after: Speed
    drift: float | None
    """By which share the slowest tenth of the run took longer than the fastest; None if too few."""
    tainted: tuple[str, ...]
    """Why the figures are not what this device can do."""
    interrupted: bool
    notes: tuple[str, ...]
    layers: tuple[LayerTime, ...] = field(repr=False)
    """Of a run of its own after this one, since timing layers slows them; empty without it."""
    curve: tuple[tuple[float, float], ...]
    """Pairs of a share and the latency that so many do not exceed."""
    samples: tuple[tuple[float, float], ...] = field(repr=False)
    """Pairs of seconds and a latency, thinned evenly over a long run."""

    @property
    def label_latency(self) -> float:
        """From the first frame of a window to its label, at the median."""
        return self.clip_span + self.total.at(0.5).value

    @property
    def joules_per_label(self) -> dict[str, float]:
        """By source."""
        labels = self.count * self.settings.streams
        return {name: joules / labels for name, joules in self.energy_joules.items()}

    @property
    def whole_joules_per_label(self) -> tuple[str, float] | None:
        """Of all that was measured, and its name; no part of it is counted twice."""
        found = self.joules_per_label
        for name in _WHOLE:
            if name in found:
                return name, found[name]
        return (" + ".join(found), sum(found.values())) if found else None

    def write(self, path: Path) -> None:
        """Write JSON, atomically.

        Raises:
            OSError: it cannot be written.
        """
        with atomic_path(path) as new:
            new.write_text(json.dumps(to_json(self), indent=1) + "\n", "utf-8")


def to_json(result: Result) -> dict[str, object]:
    """The JSON form."""
    found = schema.plain(result)
    assert isinstance(found, dict)
    return found


def read_result(path: Path) -> Result:
    """Read a result that ``bench --json`` or ``-o`` has written.

    Raises:
        InputError: no such file, no JSON, another version, or something missing; it says which.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON: {error}. Give a file written by bench -o.") from error
    if isinstance(found, list) and len(found) == 1:
        found = found[0]  # as bench --json prints it
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path} has the schema version {version}, and this version reads {SCHEMA_VERSION}. "
            "Was it written by: effvit-edge bench -o?"
        )
    try:
        result = schema.read(Result, found, path.name)
    except InputError as error:
        raise InputError(f"{path} is no result of bench: {error}") from error
    if not all(percentile.value > 0 for percentile in result.total.percentiles):
        raise InputError(f"{path} is no result of bench: its queries take no time.")
    return result
