"""What ``effvit-edge bench`` shows and writes of its results."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from effvit_edge.core.errors import InputError

if TYPE_CHECKING:
    from effvit_edge.bench.result import Result


def check_output(path: Path) -> None:
    """Before minutes of measuring, not after them.

    Raises:
        InputError: no such file can be written.
    """
    if path.suffix not in (".json", ".html"):
        raise InputError(f"{path} ends neither in .json nor in .html.")
    if not path.absolute().parent.is_dir():
        raise InputError(f"Cannot write {path}: there is no folder {path.parent}.")


def show_result(result: Result) -> None:
    """A result for people."""
    from effvit_edge.bench.markdown import lines

    for line in lines(result):
        click.echo(line)


def tell(results: Sequence[Result], as_json: bool, markdown: bool) -> None:
    """All results in one form, where one was asked for."""
    from effvit_edge.bench.markdown import header, row
    from effvit_edge.bench.result import to_json

    if as_json:
        click.echo(json.dumps([to_json(result) for result in results], indent=1))
    elif markdown:
        click.echo(header())
        for result in results:
            click.echo(row(result))


def write(results: Sequence[Result], output: Path, *, several: bool) -> None:
    """One file, or one for each result beside the given name; pages hold several results.

    Args:
        results: at least one.
        output: ends in ``.json`` or ``.html``.
        several: whether more than one was asked for, however many there are now.

    Raises:
        OSError: it cannot be written.
    """
    from effvit_edge.bench.html import write_comparison, write_report

    if output.suffix == ".html" and len(results) > 1:
        write_comparison(results, output)
        click.echo(f"written {output}", err=True)
        return
    names = _names(results, output) if several and output.suffix == ".json" else iter([output])
    for result, path in zip(results, names, strict=True):
        if path.suffix == ".html":
            write_report(result, path)
        else:
            result.write(path)
        click.echo(f"written {path}", err=True)


def _names(results: Sequence[Result], output: Path) -> Iterator[Path]:
    """``r-model.json`` of ``r.json``; models of one name get numbers."""
    seen: Counter[str] = Counter()
    for result in results:
        stem = Path(result.artifact.name).stem
        seen[stem] += 1
        number = f"-{seen[stem]}" if seen[stem] > 1 else ""
        yield output.with_name(f"{output.stem}-{stem}{number}.json")
