"""What a person at a terminal sees of a run."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol

from effvit_edge.core.clock import Clock


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

    def step(self, step: int) -> None:
        """``step`` steps are done."""
        ...

    def figures(self, text: str) -> None:
        """The newest figures, in a few words."""
        ...

    def say(self, text: str) -> None:
        """Something worth keeping on the screen."""
        ...


class LineReporter:
    """Only what is worth keeping, a line each on stderr: for pipes and logs."""

    def __enter__(self) -> LineReporter:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def step(self, step: int) -> None:
        """Nothing."""

    def figures(self, text: str) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Print a line."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


class BarReporter:
    """A rich progress bar on stderr: steps, time left, newest figures.

    Args:
        total_steps: length of the run.
        first_step: where it starts.
    """

    def __init__(self, total_steps: int, first_step: int) -> None:
        from rich import progress
        from rich.console import Console

        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            progress.TimeRemainingColumn(elapsed_when_finished=True),
            progress.TextColumn("{task.fields[figures]}"),
            console=Console(stderr=True),
            speed_estimate_period=120.0,
        )
        self._task = self._bar.add_task(
            "train", total=total_steps, completed=first_step, figures=""
        )

    def __enter__(self) -> BarReporter:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def step(self, step: int) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=step)

    def figures(self, text: str) -> None:
        """Put the figures beside the bar."""
        self._bar.update(self._task, figures=text)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)


def make_reporter(total_steps: int, first_step: int) -> Reporter:
    """A bar on a terminal, lines in a pipe."""
    if sys.stderr.isatty():
        return BarReporter(total_steps, first_step)
    return LineReporter()
