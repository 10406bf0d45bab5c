"""The whole job: every source of a list, one after another, with its files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from effvit_edge.core.errors import EdgeError
from effvit_edge.live.labeller import Labeller
from effvit_edge.live.run import SourceReport, label_source
from effvit_edge.live.watch import Watcher
from effvit_edge.sinks import PictureSink, RecordSink, VideoSink
from effvit_edge.sources import Source, SourceRef, open_source


@dataclass
class Outputs:
    """Where the labels go."""

    records: RecordSink | None
    """Takes the records of all sources."""
    video_path: Callable[[SourceRef], Path] | None
    """The annotated video of each source; None for no video."""


@dataclass
class RunReport:
    """How the whole job went."""

    sources: list[SourceReport] = field(default_factory=list)
    videos: list[Path] = field(default_factory=list)
    jsonl: Path | None = None
    """Where the records are; under a partial name when the run did not come to its end."""
    kept: list[Path] = field(default_factory=list)
    """Those of the files that have a partial name, which the watcher was told."""
    stopped: bool = False
    """Whether someone asked to stop before the end."""

    @property
    def frames(self) -> int:
        """Frames given by all sources."""
        return sum(report.frames for report in self.sources)

    @property
    def decisions(self) -> int:
        """Decisions about all sources."""
        return sum(report.decisions for report in self.sources)

    @property
    def seconds(self) -> float:
        """Of wall clock, opening and closing files aside."""
        return sum(report.seconds for report in self.sources)

    @property
    def lost(self) -> int:
        """Frames of all sources that could not be used."""
        return sum(report.losses.frames for report in self.sources)

    @property
    def damaged(self) -> int:
        """Frames of all sources that were used and are damaged."""
        return sum(report.losses.damaged for report in self.sources)

    @property
    def failures(self) -> list[SourceReport]:
        """The sources that failed, before their first frame or later."""
        return [report for report in self.sources if report.failure]


def label_sources(
    refs: Sequence[SourceRef],
    labeller: Labeller,
    outputs: Outputs,
    watcher: Watcher | None = None,
    open_ref: Callable[[SourceRef], Source] = lambda ref: open_source(ref.uri, ref.name),
) -> RunReport:
    """Label sources one after another; one that fails does not lose the others.

    Args:
        refs: what to label.
        labeller: reset before each source.
        outputs: where the labels go. The sink of the records is closed here.
        watcher: is told what happens, and asked whether to stop.
        open_ref: opens a source.

    Returns:
        How it went, source by source. Errors of the model and of the sinks are raised, after the
        files were closed under their partial names, which the watcher is told.
    """
    watcher = watcher or Watcher()
    report = RunReport()
    complete = False
    try:
        for ref in refs:
            report.sources.append(_label_one(ref, labeller, outputs, watcher, open_ref, report))
            if watcher.should_stop():
                break
        report.stopped = any(done.stopped for done in report.sources)
        unfinished = len(report.sources) < len(refs)
        complete = not unfinished and all(done.complete for done in report.sources)
        report.stopped |= unfinished
    finally:
        if outputs.records:
            report.jsonl = _close(outputs.records, complete, watcher, report)
    return report


def _label_one(
    ref: SourceRef,
    labeller: Labeller,
    outputs: Outputs,
    watcher: Watcher,
    open_ref: Callable[[SourceRef], Source],
    report: RunReport,
) -> SourceReport:
    try:
        source = open_ref(ref)
    except EdgeError as error:
        watcher.source_failed(ref.name, error)
        return SourceReport(ref.name, failure=error)
    with source:
        watcher.source_opened(source)
        if outputs.video_path is None:
            return label_source(source, labeller, outputs.records, None, watcher)
        sink = VideoSink(outputs.video_path(ref), source.nominal_fps)
        complete = False
        try:
            done = label_source(source, labeller, outputs.records, sink, watcher)
            complete = done.complete
        finally:
            video = _close(sink, complete, watcher, report)
        if video:
            report.videos.append(video)
        return done


def _close(
    sink: RecordSink | PictureSink, complete: bool, watcher: Watcher, report: RunReport
) -> Path | None:
    path = sink.close(complete)
    if path and not complete:
        report.kept.append(path)
        watcher.note(f"What was written before the end is kept as {path}.")
    return path
