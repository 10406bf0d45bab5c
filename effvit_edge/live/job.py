"""The way in: what to label, with which model, and where the labels go."""

from __future__ import annotations

from collections.abc import Sequence

from effvit_edge.core.clock import Clock
from effvit_edge.live.lanes import Lane, OpenRef
from effvit_edge.live.outputs import Outputs
from effvit_edge.live.report import RunReport
from effvit_edge.live.run import Run, open_ref
from effvit_edge.live.source_run import LabelOptions
from effvit_edge.live.watch import Watcher
from effvit_edge.runtime import Session
from effvit_edge.sources import SourceRef


def label_lanes(
    lanes: Sequence[Lane],
    session: Session,
    outputs: Outputs,
    options: LabelOptions | None = None,
    watcher: Watcher | None = None,
    open_source: OpenRef = open_ref,
    clock: Clock | None = None,
) -> RunReport:
    """Label lanes at the same time, the sources of each one after another.

    A source that fails does not lose the others. Files are labelled frame by frame and nothing is
    dropped; of live sources the newest frames are. Ends with the last source, or within a second
    after the watcher asks for it.

    Args:
        lanes: what to label.
        session: the model, one for all; closing it is the caller's.
        outputs: where the labels go; closed here.
        options: how.
        watcher: is told what happens, and asked whether to stop.
        open_source: opens a source.
        clock: measures.

    Returns:
        How it went, source by source. Errors of the model and of the sinks are raised, after the
        files were closed under their partial names, which the watcher is told.

    Raises:
        InputError: an option is out of its range.
    """
    run = Run(
        lanes, session, options or LabelOptions(), outputs, watcher or Watcher(), open_source, clock
    )
    return run()


def label_sources(
    refs: Sequence[SourceRef],
    session: Session,
    outputs: Outputs,
    options: LabelOptions | None = None,
    watcher: Watcher | None = None,
    open_source: OpenRef = open_ref,
) -> RunReport:
    """Label sources one after another; see ``label_lanes``."""
    return label_lanes([Lane(refs)], session, outputs, options, watcher, open_source)
