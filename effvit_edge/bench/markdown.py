"""Results as text: for a terminal, and as a row of a table."""

from __future__ import annotations

from collections.abc import Sequence

from effvit_edge.bench.estimate import ERRORS, Estimate
from effvit_edge.bench.layers import by_kind
from effvit_edge.bench.probes.base import CLOCK, MEMORY, POWER, TEMPERATURE
from effvit_edge.bench.result import Result
from effvit_edge.bench.scenarios import MLPERF_SECONDS

_KINDS = 8
"""So many kinds of layers are shown on a terminal; the others are in the JSON and on the page."""
_RANGES = (
    (POWER, "power", "W"), (TEMPERATURE, "temperatures", "°C"), (CLOCK, "clocks", "MHz"),
)  # fmt: skip
SHOWN = (0.5, 0.9, 0.95, 0.99, 0.999)
COLUMNS = (
    "model", "device", "runs on", "scenario", "labels/s", "p50 ms", "p90", "p99", "p99.9",
    "label latency ms", "mJ/label",
)  # fmt: skip


def lines(result: Result) -> list[str]:
    """A result for people, a few lines."""
    art, settings = result.artifact, result.settings
    pictures = f"pictures of {settings.picture_width}×{settings.picture_height}"
    if settings.video:
        pictures = f"frames of {settings.video}, read one at a time"
    found = [
        f"{art.name}: {art.variant}, {art.mode}, {art.precision}, {art.width}×{art.height}",
        f"  device    {result.device.title}",
        f"  runs on   {settings.provider}",
        f"  switches  {settings.switches}",
        f"  scenario  {_scenario(result)}, {pictures}, {result.count} "
        f"{'query' if result.count == 1 else 'queries'} in "
        f"{result.seconds:.1f} s after {result.warm_up_seconds:.1f} s of warm-up",
        "",
        *_table(result),
        "",
        f"  labels a second        {result.labels_per_second:.1f}",
        f"  label latency          {_label_latency(result)}",
    ]
    if settings.scenario == "mlperf" and result.mlperf_p90 is not None:
        found.append(f"  MLPerf p90 estimate    {result.mlperf_p90:.3f} ms")
    for source, joules in result.joules_per_label.items():
        found.append(f"  energy a label         {1000 * joules:.3f} mJ ({source})")
    found += _sensor_lines(result)
    found += _layer_lines(result)
    found += [f"  tainted   {reason}" for reason in result.tainted]
    return found + [f"  note      {note}" for note in result.notes]


def estimate_lines(name: str, estimate: Estimate, window_seconds: float) -> list[str]:
    """An estimate for people, which says that it is one.

    Args:
        name: of the file.
        estimate: of one run of its graph.
        window_seconds: from the first to the last frame of the model's window.
    """
    total = estimate.milliseconds
    macs = sum(layer.macs for layer in estimate.layers) / 1e9
    moved = sum(layer.bytes for layer in estimate.layers) / 1e6
    found = [
        f"{name} on {estimate.device.name}: about {total:.2f} ms a label, the model alone",
        f"  an estimate: {ERRORS}",
        f"  device    {estimate.device.source}",
        f"  graph     {len(estimate.layers)} kernels, {macs:.3f} GMACs, {moved:.1f} MB moved, "
        f"{estimate.memory_bound_share:.0%} of the time waiting for memory or the next kernel",
        f"  labels    up to {1000 / total:.0f} a second, "
        f"{1000 * window_seconds + total:.0f} ms from a window's first frame to its label",
        "",
    ]
    rows = [["milliseconds", "about", "share"]]
    for kind, milliseconds in estimate.by_kind.items():
        rows.append([kind, f"{milliseconds:.3f}", f"{milliseconds / total:.0%}"])
    return found + _aligned(rows)


def header() -> str:
    """The first two lines of a Markdown table of rows."""
    return f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


def row(result: Result) -> str:
    """A result as one row of a Markdown table; a tainted one is marked."""
    art = result.artifact
    joules = result.whole_joules_per_label
    cells = [
        f"{art.name} ({art.variant}, {art.mode}, {art.precision}, {art.width}×{art.height})",
        result.device.title,
        f"{result.settings.provider} ({result.settings.switches})",
        _scenario(result),
        f"{result.labels_per_second:.1f}{_mark(result)}",
        *(f"{result.total.at(share).value:.2f}" for share in (0.5, 0.9, 0.99, 0.999)),
        f"{result.label_latency:.0f}",
        "" if joules is None else f"{1000 * joules[1]:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def _mark(result: Result) -> str:
    marks = [("tainted", bool(result.tainted)), ("interrupted", result.interrupted)]
    found = ", ".join(name for name, holds in marks if holds)
    return f" ({found})" if found else ""


def _scenario(result: Result) -> str:
    settings = result.settings
    if settings.scenario == "multi-stream":
        return f"multi-stream {settings.streams}"
    if settings.scenario == "mlperf":
        return f"mlperf ({MLPERF_SECONDS:.0f} s)"
    return settings.scenario


def _table(result: Result) -> list[str]:
    names = [percentile.name for percentile in result.total.percentiles]
    rows = [["ms", *names, "max", "mean"]]
    for name, latency in (*result.stages.items(), ("total", result.total)):
        values = [percentile.value for percentile in latency.percentiles]
        rows.append([name, *(f"{v:.3f}" for v in (*values, latency.most, latency.mean))])
    rows.append(
        ["95 % sure", *(_interval(p.low, p.high) for p in result.total.percentiles), "", ""]
    )
    return _aligned(rows)


def _sensor_lines(result: Result) -> list[str]:
    """What decides whether the figures can be had again: memory, power, heat and clocks."""
    found = []
    most = {sensor.name: sensor.most for sensor in result.sensors}
    now, peak = most.get(f"{MEMORY}.rss"), most.get(f"{MEMORY}.peak")
    if now is not None and peak is not None:
        found.append(f"  memory of the process  {now:.0f} MB, {peak:.0f} at its peak with loading")
    for kind, name, unit in _RANGES:
        sensors = [s for s in result.sensors if s.name.startswith(f"{kind}.")]
        if sensors:
            low, high = min(s.least for s in sensors), max(s.most for s in sensors)
            highest = max(sensors, key=lambda sensor: sensor.most).name.partition(".")[2]
            found.append(f"  {name:21}  {low:.0f} to {high:.0f} {unit} (the highest: {highest})")
    return found


def _layer_lines(result: Result) -> list[str]:
    if not result.layers:
        return []
    kinds = by_kind(result.layers)
    whole = sum(kinds.values())
    rows = [["where the model's time goes", "ms", "share", "layers"]]
    for kind, milliseconds in list(kinds.items())[:_KINDS]:
        count = sum(layer.kind == kind for layer in result.layers)
        rows.append([kind, f"{milliseconds:.3f}", f"{milliseconds / whole:.0%}", str(count)])
    rows.append(["all layers, one by one", f"{whole:.3f}", "", str(len(result.layers))])
    return ["", *_aligned(rows)]


def _interval(low: float | None, high: float | None) -> str:
    ends = ["…" if end is None else f"{end:.2f}" for end in (low, high)]
    return "–".join(ends)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    found = []
    for cells in rows:
        first, *rest = cells
        right = (f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True))
        found.append(f"  {first:{widths[0]}}  {'  '.join(right)}".rstrip())
    return found


def _label_latency(result: Result) -> str:
    return (
        f"{result.label_latency:.1f} ms = {result.clip_span:.1f} of the window's first to last "
        f"frame + {result.total.at(0.5).value:.1f}"
    )
