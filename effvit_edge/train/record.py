"""Where a run's figures go: the journal, TensorBoard, pictures, and whoever watches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.data.types import EvaluationSequences
from effvit_edge.train.board import NO_BOARD, Board, open_board
from effvit_edge.train.eta import Eta, RunPlan
from effvit_edge.train.evaluate import Scorer, Tick, pictured, write_report
from effvit_edge.train.journal import Journal, read_journal
from effvit_edge.train.metrics import Report
from effvit_edge.train.plots import draw_curves, read_picture
from effvit_edge.train.progress import Reporter, Throughput, make_reporter
from effvit_edge.train.rehearsal import rehearse

if TYPE_CHECKING:
    from typing_extensions import Self

JOURNAL = "metrics.jsonl"
CURVES = "curves.png"


class Recorder:
    """Takes what the loop knows and passes it on; used by one process of a run, as a context.

    Args:
        folder: of the run.
        plan: what the run consists of.
        first_step: steps that are done already, when resumed.
        evaluated: step of the last evaluation, when resumed; ``first_step`` by default.
        title: of the pictures.
        about: which model is trained on which data, for the reports.
        log_every: steps between readings of the throughput.
        tensorboard: whether to write for TensorBoard, too.
        reporter: who watches; by default a bar on a terminal and lines in a pipe.
        clock: for throughput and the time left.
    """

    def __init__(
        self,
        folder: Path,
        plan: RunPlan,
        *,
        first_step: int = 0,
        evaluated: int | None = None,
        title: str = "",
        about: Mapping[str, Any] | None = None,
        log_every: int = 20,
        tensorboard: bool = True,
        reporter: Reporter | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.folder = folder
        self._plan = plan
        self._step = first_step
        self._evaluated = evaluated
        self._title = title
        self._about = about or {}
        self._log_every = log_every
        self._wants_board = tensorboard
        self._clock = clock or MonotonicClock()
        self._reporter = reporter or make_reporter(plan.total_steps, first_step)
        self._throughput = Throughput(self._clock)
        self._eta = Eta(plan, first_step, self._clock)
        self._board: Board | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._journal = Journal(self.folder / JOURNAL, self._step, self._evaluated)
            self._reporter = stack.enter_context(self._reporter)
            if self._wants_board:
                self._board = open_board(self.folder, self._step)
                if self._board is None:
                    self.say(NO_BOARD)
                else:
                    stack.enter_context(self._board)
            self._stack = stack.pop_all()
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def rehearse(self, scorer: Scorer, sequences: EvaluationSequences) -> None:
        """Try an evaluation on a few sequences, so that the time left counts those to come."""
        self._eta.expect_evaluation(rehearse(scorer, sequences, self._clock))

    def start(self) -> None:
        """Training begins now: what came before does not count as a step's time."""
        self._throughput.restart()
        self._eta.restart()
        self._started = self._clock.now()

    def step(self, record: Mapping[str, Any], samples: int, waited_seconds: float) -> None:
        """One more step is done.

        Args:
            record: ``step``, counted from 1, ``lr``, ``loss`` (None where not finite) and what
                else is to be kept of it.
            samples: clips it trained on, of all processes.
            waited_seconds: of it, until the data was there.
        """
        self._step = record["step"]
        self._throughput.add(samples, waited_seconds)
        self._eta.step_done()
        kept = dict(record)
        if self._step % self._log_every == 0 or self._step == self._plan.total_steps:
            kept |= self._throughput.read() | self._timing()
            self._reporter.figures(_in_words(kept))
            if self._board is not None:
                self._board.training(self._step, kept)
        self._reporter.step(self._step, self._eta.seconds_left())
        self._journal.write(kept)

    def note(self, record: Mapping[str, Any]) -> None:
        """Keep something in the journal that is no figure of a step."""
        self._journal.write({"step": self._step, **record})

    def say(self, text: str) -> None:
        """Show a line that is worth keeping on the screen."""
        self._reporter.say(text)

    @contextmanager
    def evaluating(self) -> Iterator[Tick]:
        """Around an evaluation, which calls what this gives after each sequence."""
        with self._eta.evaluating():
            yield self._reporter.evaluated
        self._throughput.restart()

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Around the writing of a checkpoint."""
        with self._eta.saving():
            yield
        self._throughput.restart()

    def evaluation(self, report: Report) -> None:
        """Keep an evaluation's figures, and write its report and the pictures so far."""
        figures = report.summary()
        self._journal.write({"step": self._step, "eval": figures} | self._timing())
        self.say(f"step {self._step}: {report.sentence()}")
        write_report(report, self.folder, self._title, {**self._about, "steps": self._step})
        records = read_journal(self.folder / JOURNAL)
        draw_curves(records, self.folder / CURVES, self._title)
        if self._board is not None:
            self._board.evaluation(self._step, figures)
            for name in pictured(report):
                picture = read_picture(self.folder / name)
                self._board.picture(self._step, f"eval/{Path(name).stem}", picture)

    def _timing(self) -> dict[str, float]:
        """How long the training has taken, and what is left of it where that is known."""
        elapsed = {"elapsed_seconds": round(self._clock.now() - self._started, 3)}
        left = self._eta.seconds_left()
        return elapsed if left is None else elapsed | {"seconds_left": round(left, 3)}


def _in_words(record: Mapping[str, Any]) -> str:
    """A step's figures in a few words."""
    loss = "not finite" if record["loss"] is None else f"{record['loss']:.3f}"
    return (
        f"loss {loss}  {record['samples_per_second']:.1f} clips/s  "
        f"data wait {record['data_wait_share']:.0%}"
    )
