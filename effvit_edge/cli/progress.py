"""What a run shows while it works: a bar on a terminal, only the notes elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, track

from effvit_edge.cli.stopping import Stopping
from effvit_edge.core.errors import EdgeError
from effvit_edge.live.status import SourceStatus
from effvit_edge.live.watch import Watcher
from effvit_edge.runtime.onnxrt import short_report

if TYPE_CHECKING:
    from typing_extensions import Self

    from effvit_edge.runtime import Session

_NAME_COLUMNS = 20
_T = TypeVar("_T")


class TerminalWatcher(Watcher):
    """Shows frames per second and the latest label on standard error, where it is a terminal.

    One line a source that is labelled now; elsewhere only the notes.

    Args:
        several: whether there is more than one source; the failure of a single one is the
            command's own error, and not told here.
        headline: told once, with the first frame: bad input is then told alone.
        show_backends: tell of each source what decodes it, such as its pipeline.
    """

    def __init__(self, several: bool, headline: str = "", show_backends: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=10),
            TextColumn("{task.fields[done]}", justify="right"),
            TextColumn("{task.fields[rate]}", justify="right"),
            TextColumn("{task.fields[state]}"),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
            expand=False,
        )
        self._several = several
        self._headline = headline
        self._show_backends = show_backends
        self._backends: dict[str, str] = {}
        self._tasks: dict[str, TaskID] = {}
        self._stop = False

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

    def progress(self, sources: Sequence[SourceStatus]) -> None:
        """Move the bars."""
        if self._headline and any(status.pace.frames for status in sources):
            headline, self._headline = self._headline, ""
            self.note(headline)
        if self._show_backends:
            self._tell_backends(sources)
        if self._progress.disable:
            return
        here = [status for status in sources if not status.is_over]
        for name in self._tasks.keys() - {status.source for status in here}:
            self._progress.remove_task(self._tasks.pop(name))
        for status in here:
            self._show(status)

    def source_failed(self, name: str, error: EdgeError) -> None:
        """Say why, while the other sources go on."""
        if self._several:
            self.note(f"failed: {error}")

    def note(self, text: str) -> None:
        """A line on standard error, above the bars."""
        if self._console.is_terminal:
            self._console.print(text, markup=False, soft_wrap=True)
        else:
            click.echo(text, err=True)

    def should_stop(self) -> bool:
        """Whether Ctrl-C was pressed, or the process was asked to end."""
        return self._stop

    def stop(self) -> None:
        """Ask to end."""
        self._stop = True

    def _tell_backends(self, sources: Sequence[SourceStatus]) -> None:
        """Of each source once, when it gives frames, and again where it changes."""
        for status in sources:
            backend = status.health.backend
            if status.pace.frames and self._backends.get(status.source) != backend:
                self._backends[status.source] = backend
                self.note(f"{status.source} is decoded by {backend}")

    def _show(self, status: SourceStatus) -> None:
        total, frames = status.expected_frames, status.pace.frames
        task = self._tasks.get(status.source)
        if task is None:
            name = escape(shorten(status.source))
            task = self._tasks[status.source] = self._progress.add_task(
                name, total=total, done="", rate="", state=""
            )
        done = f"{frames} of {total}" if total else counted(frames, "frame")
        fps = status.pace.fps
        rate = f"{fps:.0f} frames/s" if fps else ""
        self._progress.update(task, completed=frames, done=done, rate=rate, state=_state(status))


def _state(status: SourceStatus) -> str:
    """The newest label, or why there is none; what was dropped."""
    if status.health.state in ("connecting", "reconnecting", "failed"):
        return f"[yellow]{status.health.state}[/]"
    last = status.pace.last
    if last is None:
        return ""
    dropped = f" [yellow]{status.dropped} dropped[/]" if status.dropped else ""
    shown = last.event.label if last.event else last.label
    return f"[bold]{escape(shown)}[/] {last.score:.0%}{dropped}"


def counted(count: int, noun: str) -> str:
    """``1 frame``, ``2 frames``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def model_line(model: Path, session: Session, in_full: bool) -> str:
    """What runs the model, for people.

    Args:
        model: its file.
        session: it, opened.
        in_full: also tell that a faster provider is not built in, which few can change.
    """
    report = session.provider_report
    return f"{model}: {report if in_full else short_report(report)}"


def shorten(name: str) -> str:
    """The end of a path, where a line of 80 columns has room for no more."""
    last = PurePath(name).name or name
    return last if len(last) <= _NAME_COLUMNS else f"…{last[1 - _NAME_COLUMNS :]}"


@contextmanager
def stopping_on_signals(watcher: TerminalWatcher) -> Iterator[None]:
    """End cleanly on Ctrl-C and on SIGTERM: files are closed before the command ends.

    A second one, a second later, ends it at once.
    """
    with Stopping(watcher.stop) as stopping:
        stopping.hold()
        yield


def film_progress(frames: Iterable[_T], total: int) -> Iterator[_T]:
    """Pass frames on as they are rendered, with a bar on a terminal and a line elsewhere."""
    console = Console(stderr=True)
    disable = not console.is_terminal
    if disable:
        click.echo("Rendering the film, then labelling it", err=True)
    yield from track(frames, "rendering", total, console=console, transient=True, disable=disable)
