"""``effvit-edge doctor``: is this machine fit to label, and what to do where it is not."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

import click

from effvit_edge import __version__
from effvit_edge.core.errors import EnvironmentFault

if TYPE_CHECKING:
    from effvit_edge.bench.doctor import Row

_MARKS = {"fine": ("✓", "green"), "warning": ("!", "yellow"), "missing": ("✗", "red")}
_GAP = "  "
_WIDEST = 110


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
def command(as_json: bool) -> int:
    """Look at this machine: board, power mode, libraries, cameras, memory, versions.

    Each row is fine, a warning with what to do, or missing: then labelling does not work, and the
    exit code is 3.
    """
    from effvit_edge.bench.doctor import examine, gather

    rows = examine(gather())
    if as_json:
        report = {
            "effvit_edge": __version__,
            "rows": [dataclasses.asdict(row) for row in rows],
        }
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        for line in _table(rows, min(shutil.get_terminal_size().columns, _WIDEST)):
            click.echo(line)
        click.echo(f"\n{_verdict(rows)}")
    return EnvironmentFault.exit_code if _of(rows, "missing") else 0


def _table(rows: Sequence[Row], width: int) -> list[str]:
    """A mark, the topic, what was found, and below it what to do."""
    topics = max(len(row.topic) for row in rows)
    indent = " " * (len(_GAP) + 1 + len(_GAP) + topics + len(_GAP))
    lines = []
    for row in rows:
        mark, color = _MARKS[row.status]
        head = f"{_GAP}{click.style(mark, fg=color)}{_GAP}{row.topic:{topics}}{_GAP}"
        first, *more = wrap(row.found, max(20, width - len(indent))) or [""]
        lines += [f"{head}{first}", *(indent + text for text in more)]
        # Not wrapped: commands are copied from here.
        lines += [f"{indent}{click.style('→', fg=color)} {row.remedy}"] if row.remedy else []
    return lines


def _verdict(rows: Sequence[Row]) -> str:
    missing, warnings = _of(rows, "missing"), _of(rows, "warning")
    if missing:
        return f"Not ready: {missing} missing, {_counted(warnings)}."
    return f"Ready, {_counted(warnings)}." if warnings else "Ready."


def _of(rows: Sequence[Row], status: str) -> int:
    return sum(row.status == status for row in rows)


def _counted(warnings: int) -> str:
    return f"{warnings} warning{'' if warnings == 1 else 's'}"
