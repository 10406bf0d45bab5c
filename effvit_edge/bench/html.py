"""A result as one page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np

from effvit_edge.bench import svg
from effvit_edge.bench.compare import differences, ratios
from effvit_edge.bench.layers import by_kind
from effvit_edge.bench.markdown import SHOWN
from effvit_edge.bench.result import Result, Sensor
from effvit_edge.core.files import atomic_path

_BINS = 60
_LONGEST = 15
_SPEEDS = ("core", "memory")
_SHOWN_TAIL = 0.999
"""Histograms end here: one slow query should not squeeze all others into one bar."""
_CURVES = "percentiles; each nine as wide as the one before"
_GROUPS = (
    ("power_w", "power, W"),
    ("clock_mhz", "clock, MHz"),
    ("temperature_c", "temperature, °C"),
    ("load_percent", "load, %"),
    ("memory_mb", "memory, MB"),
)
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --warn: #b45309; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 960px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p.what { margin: .2rem 0 1rem; opacity: .75; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; } tr.total td { font-weight: 600; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: .75rem; }
.card { background: var(--soft); border-radius: 8px; padding: .7rem .9rem; }
.card b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.card span { font-size: .85rem; opacity: .75; }
.taint { border-left: 4px solid var(--warn); padding: .3rem .8rem; margin: 1rem 0; }
.plots { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 380px), 1fr)); }
svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; }
svg text { fill: currentColor; opacity: .8; } svg .g { stroke: var(--line); stroke-width: .6; }
figure { margin: 0; } figcaption { font-size: .85rem; opacity: .75; }
.scroll { overflow-x: auto; }
td.bar { width: 30%; padding-right: 0; } td.bar i { display: block; height: .8rem;
  border-radius: 2px; background: #2a78d6; }
table.bars td:first-child { max-width: 22rem; overflow-wrap: anywhere; }
"""


def write_report(result: Result, path: Path) -> None:
    """Write the page of one result, atomically.

    Raises:
        OSError: it cannot be written.
    """
    title = f"{result.artifact.name} on {result.device.title}"
    _write(path, title, _one(result, title))


def write_comparison(results: Sequence[Result], path: Path) -> None:
    """Write the page of several results side by side.

    Raises:
        InputError: they are of different scenarios.
        OSError: it cannot be written.
    """
    title = " and ".join(result.artifact.name for result in results)
    _write(path, title, _several(results, title))


def _write(path: Path, title: str, parts: Iterator[str]) -> None:
    body = "\n".join(parts)
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )
    with atomic_path(path) as new:
        new.write_text(text, "utf-8")


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
    yield _figure(_histogram(result), f"how often, up to p{_SHOWN_TAIL * 100:g}")
    yield _figure(_curves([result]), _CURVES)
    yield _figure(_over_time(result), "each query over the run")
    yield "</div>"
    yield from _layers(result)
    yield from _sensors(result)
    yield "<h2>Where and with what</h2>" + _facts(result)


def _several(results: Sequence[Result], title: str) -> Iterator[str]:
    yield f"<h1>{escape(title)}</h1>"
    for difference in differences(results):
        yield f'<p class="taint">Not only the model differs: {escape(difference)}.</p>'
    yield "<h2>Milliseconds from a picture to its label</h2>" + comparison_table(results)
    yield f"<div>{_figure(_curves(results), _CURVES)}</div>"


def comparison_table(results: Sequence[Result]) -> str:
    """Percentiles, and how many times as long each takes as the first."""
    first = results[0]
    head = ["", *(f"p{share * 100:g}" for share in SHOWN), "labels/s", "times as long (p50)"]
    rows = [head]
    for result in results:
        values = [f"{result.total.at(share).value:.3f}" for share in SHOWN]
        times = "1"
        if result is not first:
            ratio = ratios(first, result)[0]
            times = f"{ratio.value:.3f}{'' if ratio.real else ' (within the noise)'}"
        rows.append([result.artifact.name, *values, f"{result.labels_per_second:.1f}", times])
    return _table(rows)


def _cards(result: Result) -> str:
    figures = [
        (f"{result.total.at(0.5).value:.2f} ms", "picture to label, median"),
        (f"{result.total.at(0.99).value:.2f} ms", "99th percentile"),
        (f"{result.labels_per_second:.1f}", "labels a second"),
        (f"{result.label_latency:.0f} ms", "label latency, the window's span included"),
    ]
    if result.mlperf_p90 is not None:
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
    return _table([*rows, ["95 % sure", *sure, "", ""]])


def _histogram(result: Result) -> str:
    values = np.array([value for _, value in result.samples])
    end = float(np.quantile(values, _SHOWN_TAIL))
    begin = float(values.min())
    axis = svg.linear(begin, end)
    counts, _ = np.histogram(values, bins=_BINS, range=(axis.low, axis.high))
    return svg.bars(axis, counts.tolist(), ("ms", "queries"))


def _curves(results: Sequence[Result]) -> str:
    # As far as there are ten queries above.
    highest = min(0.9999, max(1 - 10 / max(result.count for result in results), 0.9))
    series = [
        (result.artifact.name, [(s, v) for s, v in result.curve if s <= highest])
        for result in results
    ]
    values = [value for _, points in series for _, value in points]
    return svg.lines(
        svg.nines(highest), svg.linear(min(values) * 0.95, max(values) * 1.02), series,
        ("percentile", "ms"),
    )  # fmt: skip


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
    yield _barred(rows, [milliseconds / max(kinds.values()) for milliseconds in kinds.values()])
    longest = sorted(result.layers, key=lambda layer: -layer.milliseconds)[:_LONGEST]
    rows = [["layer", "kind", "ms", "share", ""]]
    for layer in longest:
        share = f"{layer.milliseconds / whole:.1%}"
        rows.append([layer.name, layer.kind, f"{layer.milliseconds:.3f}", share])
    most = longest[0].milliseconds or 1.0
    yield f"<h2>The {len(longest)} longest layers</h2>"
    yield _barred(rows, [layer.milliseconds / most for layer in longest])


def _sensors(result: Result) -> Iterator[str]:
    yield "<h2>Sensors</h2>"
    if result.sensors:
        yield "<div class='plots'>"
        for kind, label in _GROUPS:
            found = [sensor for sensor in result.sensors if sensor.name.startswith(f"{kind}.")]
            if found:
                yield _figure(_sensor_plot(result, found, label), label)
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


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = []
    for row in body:
        kind = ' class="total"' if row[0] == "total" else ""
        lines.append(f"<tr{kind}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>")
    return f'<div class="scroll"><table><tr>{top}</tr>{"".join(lines)}</table></div>'


def _barred(rows: Sequence[Sequence[str]], shares: Sequence[float]) -> str:
    """A table whose last column is a bar of each row's share of the largest."""
    head, *body = rows
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = [
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}"
        f'<td class="bar"><i style="width:{100 * share:.1f}%"></i></td></tr>'
        for row, share in zip(body, shares, strict=True)
    ]
    return f'<div class="scroll"><table class="bars"><tr>{top}</tr>{"".join(lines)}</table></div>'


def _figure(plot: str, caption: str) -> str:
    return f"<figure>{plot}<figcaption>{escape(caption)}</figcaption></figure>"
