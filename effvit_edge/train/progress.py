"""What a person at a terminal, or reading a log, sees of a run."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.train.eta import in_words

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LINE_SECONDS = 60.0


class Throughput:
    """Samples a second and the share of time spent waiting for data, since the last reading.

    Args:
        clock: seconds from anywhere, never going back.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        """Forget the past, such as time spent on an evaluation."""
        self._start = self._clock.now()
        self._waited = 0.0
        self._samples = 0

    def add(self, samples: int, waited_seconds: float) -> None:
        """Count one step."""
        self._samples += samples
        self._waited += waited_seconds

    def read(self) -> dict[str, float]:
        """``samples_per_second`` and ``data_wait_share``; starts the next reading."""
        elapsed = max(self._clock.now() - self._start, 1e-9)
        figures = {
            "samples_per_second": round(self._samples / elapsed, 2),
            "data_wait_share": round(self._waited / elapsed, 4),
        }
        self.restart()
        return figures


class Reporter(Protocol):
    """Shows a run's progress."""

    def __enter__(self) -> Reporter: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def step(self, step: int, seconds_left: float | None = None) -> None:
        """``step`` steps are done; how long the rest takes, where it is known."""
        ...

    def figures(self, text: str) -> None:
        """The newest figures, in a few words."""
        ...

    def evaluated(self, done: int, total: int) -> None:
        """An evaluation has scored ``done`` sequences; all of them ends it."""
        ...

    def say(self, text: str) -> None:
        """Something worth keeping on the screen."""
        ...


class LineReporter:
    """A line on stderr for what is worth keeping, and once a minute how far it is.

    Args:
        total_steps: length of the run.
        clock: for the minute.
    """

    def __init__(self, total_steps: int, clock: Clock | None = None) -> None:
        self._total = total_steps
        self._clock = clock or MonotonicClock()
        self._figures = ""

    def __enter__(self) -> LineReporter:
        self._said = self._clock.now()
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def step(self, step: int, seconds_left: float | None = None) -> None:
        """Print a line where the last one is a minute old."""
        left = "" if seconds_left is None else f", {in_words(seconds_left)} left"
        self._now_and_then(f"step {step} of {self._total} ({step / self._total:.0%}){left}")

    def figures(self, text: str) -> None:
        """Kept for the next line."""
        self._figures = text

    def evaluated(self, done: int, total: int) -> None:
        """Print a line where the last one is a minute old."""
        self._now_and_then(f"evaluation: {done} of {total} sequences", figures=False)

    def say(self, text: str) -> None:
        """Print a line."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def _now_and_then(self, text: str, *, figures: bool = True) -> None:
        if self._clock.now() - self._said < _LINE_SECONDS:
            return
        self._said = self._clock.now()
        self.say(f"{text}, {self._figures}" if figures and self._figures else text)


class BarReporter:
    """A rich progress bar on stderr: steps, time left, newest figures.

    Args:
        total_steps: length of the run.
        first_step: where it starts.
    """

    def __init__(self, total_steps: int, first_step: int) -> None:
        self._bar = _make_bar()
        self._task = self._bar.add_task(
            "train", total=total_steps, completed=first_step, left="", figures=""
        )
        self._evaluation: TaskID | None = None

    def __enter__(self) -> BarReporter:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def step(self, step: int, seconds_left: float | None = None) -> None:
        """Move the bar."""
        left = "" if seconds_left is None else f"{in_words(seconds_left)} left"
        self._bar.update(self._task, completed=step, left=left)

    def figures(self, text: str) -> None:
        """Put the figures beside the bar."""
        self._bar.update(self._task, figures=text)

    def evaluated(self, done: int, total: int) -> None:
        """Show a second bar while an evaluation lasts."""
        if self._evaluation is None:
            self._evaluation = self._bar.add_task("evaluate", total=total, left="", figures="")
        self._bar.update(self._evaluation, completed=done)
        if done >= total:
            self._bar.remove_task(self._evaluation)
            self._evaluation = None

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)


def make_reporter(total_steps: int, first_step: int) -> Reporter:
    """A bar on a terminal, lines in a pipe."""
    if sys.stderr.isatty():
        return BarReporter(total_steps, first_step)
    return LineReporter(total_steps)


def _make_bar() -> Progress:
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=16),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[left]}"),
        progress.TextColumn("{task.fields[figures]}", style="dim"),
        console=Console(stderr=True),
    )
