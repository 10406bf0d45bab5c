"""What ``effvit-edge prepare`` shows while it works: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from effvit_edge.cli.progress import counted

if TYPE_CHECKING:
    from typing_extensions import Self

    from effvit_edge.data.prepare.layout import Entry
    from effvit_edge.data.prepare.probe import Finding

_RATE_SECONDS = 30.0


class Bar:
    """How many segments are done, how fast, how long it takes, and how many failed.

    Args:
        description: what is being done.
    """

    def __init__(self, description: str) -> None:
        console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            TextColumn("[red]{task.fields[failed]}"),
            console=console,
            disable=not console.is_terminal,
            speed_estimate_period=_RATE_SECONDS,
        )
        self._description = description
        self._task: TaskID | None = None
        self._failed = 0
        self._frames = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def begin(self, total: int, done: int) -> None:
        """See :class:`effvit_edge.data.prepare.run.Watcher`."""
        self._task = self._progress.add_task(
            self._description, total=total, completed=done, rate="", failed=""
        )

    def prepared(self, entry: Entry) -> None:
        """See :class:`effvit_edge.data.prepare.run.Watcher`."""
        self._frames += entry.frames
        self.advance(failed=entry.failure is not None)

    def advance(self, *, failed: bool) -> None:
        """One more is done."""
        if self._task is None:
            return
        self._failed += failed
        elapsed = self._progress.tasks[0].elapsed
        rate = f"{self._frames / elapsed:.0f} frames/s" if elapsed and self._frames else ""
        self._progress.update(
            self._task,
            advance=1,
            rate=rate,
            failed=f"{self._failed} failed" if self._failed else "",
        )


def track_findings(findings: Iterator[Finding], total: int) -> Iterator[Finding]:
    """Pass findings on, with a bar of how many of ``total`` there are."""
    with Bar("checking") as bar:
        bar.begin(total, 0)
        for finding in findings:
            bar.advance(failed=bool(finding.problem))
            yield finding


def prepared_before(folder: Path) -> str:
    """How much of a set is done, for a message after Ctrl-C."""
    from effvit_edge.data.prepare.index import read_index

    done = sum(len(read_index(path, broken_off=True)) for path in sorted(folder.glob("*.jsonl")))
    verb = "is" if done == 1 else "are"
    return f"{counted(done, 'segment')} {verb} prepared in {folder}."


def span(seconds: float) -> str:
    """A length of footage: ``36 s``, ``12 min``, ``1.5 h``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def volume(size: int) -> str:
    """A size on disk: ``11 MB``, ``1.5 GB``."""
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"
