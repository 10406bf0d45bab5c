"""A result as one page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np

from effvit_edge.bench import svg
from effvit_edge.bench.layers import by_kind
from effvit_edge.bench.page import CURVES, barred, curves, figure, table, write_page
from effvit_edge.bench.result import Result, Sensor

_BINS = 60
_LONGEST = 15
_SPEEDS = ("core", "memory")
_SHOWN_TAIL = 0.999
"""Histograms end here: one slow query should not squeeze all others into one bar."""
_GROUPS = (
    ("power_w", "power, W"),
    ("clock_mhz", "clock, MHz"),
    ("temperature_c", "temperature, °C"),
    ("load_percent", "load, %"),
    ("memory_mb", "memory, MB"),
)


def write_report(result: Result, path: Path) -> None:
    """Write the page of one result, atomically.

    Raises:
        OSError: it cannot be written.
    """
    title = f"{result.artifact.name} on {result.device.title}"
    write_page(path, title, _one(result, title))


def _one(result: Result, title: str) -> Iterator[str]:
    art, settings = result.artifact, result.settings
    yield f"<h1>{escape(title)}</h1>"
    yield (
        f'<p class="what">{escape(art.variant)}, {art.mode}, {art.precision}, '
        f"{art.width}×{art.height} · {escape(settings.scenario)} · {escape(settings.provider)} · "
        f"{escape(result.date)}</p>"
        f'<p class="what">{escape(str(settings.switches))}</p>'
    )
    for reason in result.tainted:
        yield f'<p class="taint">Tainted: {escape(reason)}.</p>'
    for note in result.notes:
        yield f"<p>{escape(note)}.</p>"
    yield _cards(result)
    yield "<h2>Milliseconds by stage</h2>" + _stages(result)
    yield "<h2>Latency</h2><div class='plots'>"
    yield figure(_histogram(result), f"how often, up to p{_SHOWN_TAIL * 100:g}")
    yield figure(curves([result], [result.artifact.name]), CURVES)
    yield figure(_over_time(result), "each query over the run")
    yield "</div>"
    yield from _layers(result)
    yield from _sensors(result)
    yield "<h2>Where and with what</h2>" + _facts(result)


def _cards(result: Result) -> str:
    figures = [
        (f"{result.total.at(0.5).value:.2f} ms", "picture to label, median"),
        (f"{result.total.at(0.99).value:.2f} ms", "99th percentile"),
        (f"{result.labels_per_second:.1f}", "labels a second"),
        (f"{result.label_latency:.0f} ms", "label latency, the window's span included"),
    ]
    if result.settings.scenario == "mlperf" and result.mlperf_p90 is not None:
        figures.append((f"{result.mlperf_p90:.2f} ms", "MLPerf estimate of p90"))
    for source, joules in result.joules_per_label.items():
        figures.append((f"{1000 * joules:.2f} mJ", f"energy a label, {source}"))
    cards = "".join(
        f'<div class="card"><b>{b}</b><span>{escape(t)}</span></div>' for b, t in figures
    )
    return f'<div class="cards">{cards}</div>'


def _stages(result: Result) -> str:
    head = ["", *(p.name for p in result.total.percentiles), "max", "mean"]
    rows = [head]
    for name, latency in (*result.stages.items(), ("total", result.total)):
        values = (*(p.value for p in latency.percentiles), latency.most, latency.mean)
        rows.append([name, *(f"{value:.3f}" for value in values)])
    sure = [
        f"{'…' if p.low is None else f'{p.low:.2f}'}–{'…' if p.high is None else f'{p.high:.2f}'}"
        for p in result.total.percentiles
    ]
    return table([*rows, ["95 % sure", *sure, "", ""]])


def _histogram(result: Result) -> str:
    values = np.array([value for _, value in result.samples])
    end = float(np.quantile(values, _SHOWN_TAIL))
    begin = float(values.min())
    axis = svg.linear(begin, end)
    counts, _ = np.histogram(values, bins=_BINS, range=(axis.low, axis.high))
    return svg.bars(axis, counts.tolist(), ("ms", "queries"))


def _over_time(result: Result) -> str:
    values = [value for _, value in result.samples]
    x = svg.linear(0, result.seconds)
    return svg.dots(x, svg.linear(0, max(values) * 1.02), result.samples, ("seconds", "ms"))


def _layers(result: Result) -> Iterator[str]:
    """By kind, and the longest one by one."""
    if not result.layers:
        return
    kinds, whole = by_kind(result.layers), sum(layer.milliseconds for layer in result.layers)
    yield "<h2>Where the model's time goes</h2>"
    yield (
        f'<p class="what">{len(result.layers)} layers in a run of their own, each timed, which '
        f"slows them: {whole:.2f} ms together.</p>"
    )
    rows = [["kind", "layers", "ms", "share", ""]]
    for kind, milliseconds in kinds.items():
        count = sum(layer.kind == kind for layer in result.layers)
        rows.append([kind, str(count), f"{milliseconds:.3f}", f"{milliseconds / whole:.1%}"])
    yield barred(rows, [milliseconds / max(kinds.values()) for milliseconds in kinds.values()])
    longest = sorted(result.layers, key=lambda layer: -layer.milliseconds)[:_LONGEST]
    rows = [["layer", "kind", "ms", "share", ""]]
    for layer in longest:
        share = f"{layer.milliseconds / whole:.1%}"
        rows.append([layer.name, layer.kind, f"{layer.milliseconds:.3f}", share])
    most = longest[0].milliseconds or 1.0
    yield f"<h2>The {len(longest)} longest layers</h2>"
    yield barred(rows, [layer.milliseconds / most for layer in longest])


def _sensors(result: Result) -> Iterator[str]:
    yield "<h2>Sensors</h2>"
    if result.sensors:
        yield "<div class='plots'>"
        for kind, label in _GROUPS:
            found = [sensor for sensor in result.sensors if sensor.name.startswith(f"{kind}.")]
            if found:
                yield figure(_sensor_plot(result, found, label), label)
        yield "</div>"
    absent = ", ".join(f"{name} ({reason})" for name, reason in result.absent_sensors.items())
    if absent:
        yield f"<p>Not read here: {escape(absent)}.</p>"


def _sensor_plot(result: Result, sensors: Sequence[Sensor], label: str) -> str:
    series = [(sensor.name.partition(".")[2], sensor.series) for sensor in sensors]
    highest = max(sensor.most for sensor in sensors)
    room = 1.05 + 0.09 * len(series)  # for the names
    return svg.lines(
        svg.linear(0, result.seconds),
        svg.linear(0, highest * room or 1),
        series,
        ("seconds", label),
    )


def _facts(result: Result) -> str:
    art, settings = result.artifact, result.settings
    rows = [
        ["device", result.device.title],
        ["runs on", settings.provider],
        ["switches", str(settings.switches)],
        ["the model's stage", f"split by {settings.split_by}" if settings.split_by else "whole"],
        ["threads", str(settings.threads)],
        [
            "pictures",
            settings.video or f"{settings.picture_width}×{settings.picture_height}, rendered",
        ],
        ["warm-up", f"{result.warm_up_seconds:.1f} s, {result.warm_up_count} queries"],
        ["measured", f"{result.count} queries in {result.seconds:.1f} s"],
        ["file", f"{art.name}, {art.bytes:,} bytes, sha256 {art.sha256}"],
        ["software", ", ".join(f"{name} {number}" for name, number in result.software.items())],
    ]
    if result.others_cores is not None:
        rows.append(["others", f"other processes kept {result.others_cores:.2f} cores busy"])
    speeds = (result.speed, result.speed_after)
    core, memory = (" and ".join(f"{getattr(s, part):.2f}" for s in speeds) for part in _SPEEDS)
    rows.append(
        ["the machine itself", f"fixed work of the core {core} ms, of the memory {memory} ms"]
    )
    cells = "".join(
        f"<tr><td>{escape(name)}</td><td style='text-align:left'>{escape(text)}</td></tr>"
        for name, text in rows
    )
    return f'<div class="scroll"><table>{cells}</table></div>'
