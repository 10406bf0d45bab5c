"""``effvit-edge bench compare``: results side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from effvit_edge.core.errors import InputError

if TYPE_CHECKING:
    from effvit_edge.bench.compare import Ratio
    from effvit_edge.bench.result import Result

_LEAST = 2


def compare(paths: Sequence[Path], output: Path | None, as_json: bool, markdown: bool) -> int:
    """Print the ratio of each result to the first, and what else differs; write a page.

    Args:
        paths: written by ``bench -o NAME.json``.
        output: of the page, if any.
        as_json: print JSON instead of lines.
        markdown: print a table instead.

    Raises:
        UsageError: fewer than two results, or a page that is none.
        InputError: a file is no result, or of another scenario.
    """
    from effvit_edge.bench.compare import differences, ratios
    from effvit_edge.bench.result import read_result

    _check(paths, output)
    results = [read_result(path) for path in paths]
    medians = [ratios(results[0], result)[0] for result in results]
    rows = list(zip(paths, results, medians, strict=True))
    if as_json:
        told = [_record(*row) for row in rows]
        click.echo(json.dumps({"results": told, "differences": differences(results)}, indent=1))
    elif markdown:
        from effvit_edge.bench.markdown import header, row

        click.echo("\n".join([header(), *(row(result) for result in results)]))
    else:
        for path, result, ratio in rows:
            click.echo(_line(path, result, None if result is results[0] else ratio))
    for difference in differences(results):
        click.echo(f"Not only the model differs: {difference}.", err=True)
    if output:
        from effvit_edge.bench.comparison_page import write_comparison

        write_comparison(results, output, [path.stem for path in paths])
        click.echo(f"written {output}", err=True)
    return 0


def _check(paths: Sequence[Path], output: Path | None) -> None:
    if len(paths) < _LEAST:
        raise click.UsageError("compare takes two results or more, written by bench -o NAME.json.")
    if output is None:
        return
    if output.suffix != ".html":
        raise click.UsageError(f"compare writes a page, so {output} must end in .html.")
    if not output.absolute().parent.is_dir():
        raise InputError(f"Cannot write {output}: there is no folder {output.parent}.")


def _line(path: Path, result: Result, ratio: Ratio | None) -> str:
    line = f"{path.name}: {result.artifact.name}, p50 {result.total.at(0.5).value:.3f} ms"
    if ratio is not None:
        sure = "" if ratio.real else ", within the noise"
        line += f", {ratio.value:.3f} times the first{sure}"
    if result.interrupted:
        line += "; interrupted"
    return line + "".join(f"; tainted: {reason}" for reason in result.tainted)


def _record(path: Path, result: Result, ratio: Ratio) -> dict[str, object]:
    return {
        "file": path.name,
        "artifact": result.artifact.name,
        "p50_ms": result.total.at(0.5).value,
        "times_the_first": ratio.value,
        "low": ratio.low,
        "high": ratio.high,
        "exceeds_noise": ratio.real,
        "interrupted": result.interrupted,
        "tainted": list(result.tainted),
    }
