"""Results side by side, as one page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from effvit_edge.bench.compare import differences, ratios
from effvit_edge.bench.markdown import SHOWN
from effvit_edge.bench.page import CURVES, curves, figure, table, write_page
from effvit_edge.bench.result import Result


def write_comparison(
    results: Sequence[Result], path: Path, names: Sequence[str] | None = None
) -> None:
    """Write the page of several results side by side.

    Args:
        results: two or more.
        path: of the page.
        names: what to call them; by default their models, numbered where one has more results.

    Raises:
        InputError: they are of different scenarios.
        OSError: it cannot be written.
    """
    called = _distinct(names or [result.artifact.name for result in results])
    write_page(path, " and ".join(called), _several(results, called))


def _several(results: Sequence[Result], names: Sequence[str]) -> Iterator[str]:
    yield f"<h1>{escape(' and '.join(names))}</h1>"
    for difference in differences(results):
        yield f'<p class="taint">Not only the model differs: {escape(difference)}.</p>'
    for result, name in zip(results, names, strict=True):
        reasons = [f"Tainted: {reason}" for reason in result.tainted]
        for remark in (*reasons, *result.notes):
            yield f'<p class="taint">{escape(name)}: {escape(remark)}.</p>'
    yield "<h2>Milliseconds from a picture to its label</h2>" + _comparison(results, names)
    yield f"<div>{figure(curves(results, names), CURVES)}</div>"
    yield "<h2>What was compared</h2>" + _facts(results, names)


def _comparison(results: Sequence[Result], names: Sequence[str]) -> str:
    """Percentiles, and how many times as long each takes as the first."""
    first = results[0]
    head = ["", *(f"p{share * 100:g}" for share in SHOWN), "labels/s", "times as long (p50)"]
    rows = [head]
    for result, name in zip(results, names, strict=True):
        values = [f"{result.total.at(share).value:.3f}" for share in SHOWN]
        times = "1"
        if result is not first:
            ratio = ratios(first, result)[0]
            times = f"{ratio.value:.3f}{'' if ratio.real else ' (within the noise)'}"
        rows.append([name, *values, f"{result.labels_per_second:.1f}", times])
    return table(rows)


def _facts(results: Sequence[Result], names: Sequence[str]) -> str:
    rows = [["", "model", "device", "runs on", "switches", "queries"]]
    for result, name in zip(results, names, strict=True):
        art, settings = result.artifact, result.settings
        model = f"{art.name} ({art.variant}, {art.mode}, {art.precision}, {art.width}×{art.height})"
        run = f"{result.count} in {result.seconds:.0f} s"
        device = result.device.title
        rows.append([name, model, device, settings.provider, str(settings.switches), run])
    return table(rows)


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, those that come again with their place behind them."""
    return [
        f"{name} ({place})" if names.count(name) > 1 else name
        for place, name in enumerate(names, start=1)
    ]
