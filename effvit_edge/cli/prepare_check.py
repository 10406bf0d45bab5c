"""What ``effvit-edge prepare --check`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from effvit_edge.cli.prepare_progress import span

if TYPE_CHECKING:
    from effvit_edge.data.prepare.check import CheckReport

_CLASSES = 24
"""A table of more classes shows only the smallest."""
_SMALLEST = 8
_NAMED = 10
_KINDS = 6


def show(report: CheckReport) -> None:
    """Print a report for people."""
    console = Console(highlight=False, soft_wrap=True)
    tables = [_parts(report)]
    tables += [_classes(report, group) for group in next(iter(report.parts.values())).classes]
    tables += [_footage(report)] if report.seconds else []
    for table in tables:
        console.print(table)
        console.print()
    for title, lines, bad in (
        ("missing", report.missing, True),
        ("unreadable", report.unreadable, True),
        ("in both parts", report.leaks, True),
        ("damaged", report.damaged, False),
        ("past the end", report.beyond, False),
        ("there twice", [" = ".join(same) for same in report.duplicates], False),
        ("in both parts, at other times", report.shared, False),
    ):
        _problems(console, title, lines, bad)
    verdict = "[green]sound[/]" if report.sound else "[red]not sound[/]"
    console.print(f"{report.set}: {verdict}; {_how(report)}.")


def _how(report: CheckReport) -> str:
    """What was looked at."""
    if report.set == "prepared":
        return f"beginnings{' and hashes' if report.full else ''} of all segments were looked at"
    return "every frame was decoded" if report.full else "beginnings and ends were decoded"


def _parts(report: CheckReport) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("part")
    for name in ("segments", "videos", "missing"):
        table.add_column(name, justify="right")
    for part, counts in report.parts.items():
        missing = str(counts.missing_segments) if counts.missing_segments else "–"
        table.add_row(part, str(counts.segments), str(counts.videos), missing)
    return table


def _classes(report: CheckReport, group: str) -> Table:
    counts = {part: found.classes[group] for part, found in report.parts.items()}
    labels = list(next(iter(counts.values())))
    note = ""
    if len(labels) > _CLASSES:
        total = {label: sum(each[label] for each in counts.values()) for label in labels}
        note = f", the {_SMALLEST} smallest of {len(labels)}"
        labels = sorted(labels, key=lambda label: total[label])[:_SMALLEST]
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(f"{group}{note}", overflow="fold")
    for part in counts:
        table.add_column(part, justify="right")
    for label in labels:
        cells = [each[label] for each in counts.values()]
        table.add_row(label, *(str(cell) if cell else "[yellow]0[/]" for cell in cells))
    return table


def _footage(report: CheckReport) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    lengths = report.seconds
    table.add_row(
        "length",
        f"{lengths['least']:g} to {lengths['most']:g} s, median {lengths['median']:g} s, "
        f"{span(lengths['sum'])} together",
    )
    table.add_row("size", _commonest(report.sizes))
    table.add_row("frames/s", _commonest(report.rates))
    return table


def _commonest(counts: dict[str, int]) -> str:
    parts = [f"{value} ({count})" for value, count in list(counts.items())[:_KINDS]]
    more = len(counts) - _KINDS
    return ", ".join(parts) + (f" and {more} other kinds" if more > 0 else "")


def _problems(console: Console, title: str, lines: Sequence[str], bad: bool) -> None:
    if not lines:
        return
    console.print(f"[bold {'red' if bad else 'yellow'}]{len(lines)} {title}[/]")
    for line in lines[:_NAMED]:
        console.print(f"  {line}", markup=False)
    if len(lines) > _NAMED:
        console.print(f"  and {len(lines) - _NAMED} more; --json lists all")
