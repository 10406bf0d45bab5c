"""Labelling inside another program: an iterator of decisions, or a call for each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import TypeAlias

from effvit_edge.core.errors import EdgeError
from effvit_edge.live.decision import Decision
from effvit_edge.live.lanes import Lane, OpenRef, lane_of
from effvit_edge.live.mailbox import Mailbox
from effvit_edge.live.outputs import Outputs
from effvit_edge.live.report import RunReport
from effvit_edge.live.roi import Roi
from effvit_edge.live.run import Run, open_ref
from effvit_edge.live.source_run import LabelOptions
from effvit_edge.live.watch import Watcher
from effvit_edge.runtime import Session, open_session
from effvit_edge.sources import Source, SourceRef

Model: TypeAlias = Session | str | Path
"""A session, which stays open, or the path of an ONNX file or engine, opened and closed here."""
AnySource: TypeAlias = Source | str | Path
"""A source, or what names one: see :mod:`effvit_edge.sources.uri`."""

_WAITING = 64  # decisions that whoever iterates has not taken yet


class Stopped(Exception):
    """Raise it in a callback to end ``watch``."""


def predictions(
    source: AnySource,
    model: Model,
    options: LabelOptions | None = None,
    *,
    roi: Roi | None = None,
) -> Generator[Decision, None, None]:
    """Label one source; a decision for each frame that the model sees, as soon as it is known.

    Reading and the model work on in threads of their own while the caller looks at a decision. Of
    a file nothing is lost: they wait for a caller who takes long. Of a live source the newest
    frames are labelled, and a caller who takes long misses some. Leaving the iterator, also by an
    exception, ends the threads and closes what was opened here.

    Args:
        source: what to label; a source that is given open is closed at the end.
        model: what labels it.
        options: how; with ``events``, decisions have the event that goes on.
        roi: the part of the pictures to look at.

    Yields:
        Decisions, in the order of the frames.

    Raises:
        InputError: the source or the model cannot be used.
        EnvironmentFault: a library, device or permission is missing.
        EdgeError: the source or the model failed later.
    """
    waiting: Mailbox[Decision] = Mailbox(_WAITING, keep_newest=_lane(source, roi)[0].is_live)
    ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def decided(decision: Decision) -> None:
        if not waiting.put(decision):
            raise Stopped

    with ExitStack() as stack:
        run = _prepare(source, model, options, roi, decided, stack)

        def work() -> None:
            error: BaseException | None = None
            try:
                run()
            except BaseException as failure:
                error = failure
            finally:
                ended.put(error)
                waiting.finish()

        thread = threading.Thread(target=work, name="predictions", daemon=True)
        thread.start()
        try:
            while (decision := waiting.take()) is not None:
                waiting.done()
                yield decision
        finally:
            run.stop.ask()
            waiting.abandon()
            thread.join()
        _raise(ended.get(), run)


def watch(
    source: AnySource,
    model: Model,
    on_prediction: Callable[[Decision], None],
    options: LabelOptions | None = None,
    *,
    roi: Roi | None = None,
) -> RunReport:
    """Label one source to its end, and call for each decision.

    Args:
        source: what to label.
        model: what labels it.
        on_prediction: called in a thread of its own, one call after another. Raising ``Stopped``
            ends the run; any other exception ends it, too, and is raised here.
        options: how.
        roi: the part of the pictures to look at.

    Returns:
        How it went.

    Raises:
        EdgeError: see ``predictions``.
    """
    with ExitStack() as stack:
        run = _prepare(source, model, options, roi, on_prediction, stack)
        try:
            report = run()
        except Stopped:
            report = run.report
        _raise(None, run)
        return report


def _prepare(
    source: AnySource,
    model: Model,
    options: LabelOptions | None,
    roi: Roi | None,
    decided: Callable[[Decision], None],
    stack: ExitStack,
) -> Run:
    if isinstance(model, (str, Path)):
        model = stack.enter_context(open_session(model))
    lane, opener = _lane(source, roi)
    return Run(
        [lane], model, options or LabelOptions(), Outputs(decided=decided), Watcher(), opener
    )


def _lane(source: AnySource, roi: Roi | None) -> tuple[Lane, OpenRef]:
    if isinstance(source, (str, Path)):
        return lane_of(str(source), roi), open_ref
    return Lane([SourceRef(source.name, source.name)], roi, source.is_live), lambda _: source


def _raise(error: BaseException | None, run: Run) -> None:
    """What ended the run, where that was no wish of the caller's; then why its source failed."""
    if error is not None and not isinstance(error, Stopped):
        raise error
    for done in run.report.failures:
        assert isinstance(done.failure, EdgeError)
        raise done.failure
