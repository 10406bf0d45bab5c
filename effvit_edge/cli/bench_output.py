"""What ``effvit-edge bench`` shows and writes of its results."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from effvit_edge.core.errors import EnvironmentFault, InputError
from effvit_edge.core.files import why_not_writable, writing

if TYPE_CHECKING:
    from effvit_edge.bench.result import Result


def check_output(output: Path, artifacts: Sequence[Path]) -> list[Path]:
    """Where results are written, found out before minutes of measuring and not after them.

    Args:
        output: as it was given.
        artifacts: what is to be measured.

    Returns:
        One name for a page; for JSON ``r-model.json`` of ``r.json`` for each of several models.

    Raises:
        InputError: it is no name for a result, or no file can have it.
        EnvironmentFault: its folder cannot be written.
    """
    if output.suffix not in (".json", ".html"):
        raise InputError(f"{output} ends neither in .json nor in .html.")
    if not output.absolute().parent.is_dir():
        raise InputError(f"Cannot write {output}: there is no folder {output.parent}.")
    reason = why_not_writable(output.absolute().parent)
    if reason:
        raise EnvironmentFault(f"Cannot write {output}: {reason}.")
    several = len(artifacts) > 1 and output.suffix == ".json"
    targets = list(_names(artifacts, output)) if several else [output]
    for path in targets:
        if path.exists() and not path.is_file():
            raise InputError(f"Cannot write {path}: it is no file. Give another name.")
    return targets


def show_result(result: Result) -> None:
    """A result for people."""
    from effvit_edge.bench.markdown import lines

    for line in lines(result):
        click.echo(line)


def tell(results: Sequence[Result], as_json: bool, markdown: bool) -> None:
    """All results in one form, where one was asked for and there are any."""
    if not results:
        return
    from effvit_edge.bench.markdown import header, row
    from effvit_edge.bench.result import to_json

    if as_json:
        click.echo(json.dumps([to_json(result) for result in results], indent=1))
    elif markdown:
        click.echo(header())
        for result in results:
            click.echo(row(result))


def write(results: Sequence[Result], targets: Sequence[Path]) -> None:
    """Write each result to its file, or all of them to one page.

    Args:
        results: fewer than files where measuring ended early.
        targets: of :func:`check_output`; nothing is written where there are none.

    Raises:
        EdgeError: a file cannot be written; it says which.
    """
    from effvit_edge.bench.comparison_page import write_comparison
    from effvit_edge.bench.html import write_report

    if len(results) > 1 and targets and targets[0].suffix == ".html":
        with _written(targets[0]):
            write_comparison(results, targets[0])
        return
    for result, path in zip(results, targets, strict=False):
        with _written(path):
            if path.suffix == ".html":
                write_report(result, path)
            else:
                result.write(path)


@contextmanager
def _written(path: Path) -> Iterator[None]:
    with writing(path):
        yield
    click.echo(f"written {path}", err=True)


def _names(artifacts: Sequence[Path], output: Path) -> Iterator[Path]:
    """A name for each; of models of one name, the later ones have a number that is free."""
    taken: set[str] = set()
    for artifact in artifacts:
        numbered = (f"{artifact.stem}-{number}" for number in itertools.count(2))
        names = itertools.chain([artifact.stem], numbered)
        stem = next(name for name in names if name not in taken)
        taken.add(stem)
        yield output.with_name(f"{output.stem}-{stem}.json")
