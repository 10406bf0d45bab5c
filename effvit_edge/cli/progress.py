"""What a run shows while it works: a bar on a terminal, only the notes elsewhere."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, TypeVar

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn, track

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.errors import EdgeError
from effvit_edge.live.decision import Decision
from effvit_edge.live.watch import Watcher
from effvit_edge.runtime.onnxrt import short_report

if TYPE_CHECKING:
    from typing_extensions import Self

    from effvit_edge.runtime import Session
    from effvit_edge.sources import Frame, Source

_REFRESH_SECONDS = 0.1
_NAME_COLUMNS = 20
_T = TypeVar("_T")


class TerminalWatcher(Watcher):
    """Shows frames per second and the latest label on standard error, where it is a terminal.

    Args:
        several: whether there is more than one source; the failure of a single one is the
            command's own error, and not told here.
        headline: told once, with the first frame: bad input is then told alone.
        clock: for frames per second.
    """

    def __init__(self, several: bool, headline: str = "", clock: Clock | None = None) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=10),
            TextColumn("{task.completed}{task.fields[of]}"),
            TextColumn("{task.fields[fps]:.0f} frames/s"),
            TimeRemainingColumn(compact=True),
            TextColumn("[bold]{task.fields[label]}"),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._several = several
        self._headline = headline
        self._clock = clock or MonotonicClock()
        self._task: TaskID | None = None
        self._stop = False
        self._label = ""

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

    def source_opened(self, source: Source) -> None:
        """Start a new bar."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        total = source.expected_frames
        of = f" of {total}" if total else " frames"
        name = escape(shorten(source.name))
        self._task = self._progress.add_task(name, total=total, of=of, fps=0.0, label="")
        self._frames, self._label = 0, ""
        self._started = self._shown = self._clock.now()

    def frame_done(self, frame: Frame, decision: Decision | None) -> None:
        """Move the bar, a few times a second."""
        if self._headline:
            self.note(self._headline)
            self._headline = ""
        self._frames += 1
        if decision is not None:
            self._label = f"{decision.label} {decision.score:.0%}"
        now = self._clock.now()
        if self._task is not None and now - self._shown >= _REFRESH_SECONDS:
            self._shown = now
            fps = self._frames / (now - self._started)
            self._progress.update(
                self._task, completed=self._frames, fps=fps, label=escape(self._label)
            )

    def source_failed(self, name: str, error: EdgeError) -> None:
        """Say why, while the other sources go on."""
        if self._several:
            self.note(f"failed: {error}")

    def note(self, text: str) -> None:
        """A line on standard error, above the bar."""
        if self._console.is_terminal:
            self._console.print(text, markup=False, soft_wrap=True)
        else:
            click.echo(text, err=True)

    def should_stop(self) -> bool:
        """Whether Ctrl-C was pressed, or the process was asked to end."""
        return self._stop

    def stop(self) -> None:
        """Ask to end before the next frame."""
        self._stop = True


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

    A second one ends it at once.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        if watcher.should_stop():
            raise KeyboardInterrupt
        watcher.stop()

    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, stop) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def film_progress(frames: Iterable[_T], total: int) -> Iterator[_T]:
    """Pass frames on as they are rendered, with a bar on a terminal and a line elsewhere."""
    console = Console(stderr=True)
    disable = not console.is_terminal
    if disable:
        click.echo("Rendering the film, then labelling it", err=True)
    yield from track(frames, "rendering", total, console=console, transient=True, disable=disable)
