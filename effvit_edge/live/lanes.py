"""The threads that read: one a lane, each labelling its sources one after another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from effvit_edge.core.errors import EdgeError
from effvit_edge.live.news import News
from effvit_edge.live.outputs import Files, Outputs, picture_takers
from effvit_edge.live.report import SourceReport
from effvit_edge.live.roi import Roi
from effvit_edge.live.source_run import Shared, SourceRun
from effvit_edge.sources import Source, SourceRef, list_sources, parse_uri

OpenRef = Callable[[SourceRef], Source]


@dataclass(frozen=True)
class Lane:
    """Sources that are labelled one after another."""

    refs: Sequence[SourceRef]
    roi: Roi | None = None
    """The part of their pictures to look at."""
    is_live: bool = False
    """Whether it may go on for good, so that it must not wait for others to end."""


def lane_of(uri: str, roi: Roi | None = None) -> Lane:
    """The lane of what a user named: one source, or those of a folder or a pattern.

    Raises:
        InputError: it names nothing.
    """
    source = parse_uri(uri)
    endless = source.kind == "synthetic" and source.options.seconds is None
    return Lane(tuple(list_sources(uri)), roi, source.is_live or endless)


class LaneThread:
    """Labels the sources of a lane; one that fails does not lose the others.

    Args:
        lane: what to label.
        shared: what all sources have in common.
        outputs: where pictures go.
        files: are told of here.
        open_ref: opens a source.
        news: is told what happens.
    """

    def __init__(
        self,
        lane: Lane,
        shared: Shared,
        outputs: Outputs,
        files: Files,
        open_ref: OpenRef,
        news: News,
    ) -> None:
        self.lane = lane
        self.run: SourceRun | None = None
        """The source that is labelled now, or was labelled last."""
        self.opening: str | None = None
        """The name of the source that is being opened."""
        self._shared = shared
        self._outputs = outputs
        self._files = files
        self._open_ref = open_ref
        self._news = news
        self._reports: list[SourceReport] = []
        self._reported: SourceRun | None = None
        self._tried = 0
        self._thread = threading.Thread(
            target=self._work, name=f"lane of {lane.refs[0].name}", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it has begun and not ended."""
        return self._thread.is_alive()

    @property
    def is_whole(self) -> bool:
        """Whether each of its sources had its turn."""
        return self._tried == len(self.lane.refs)

    def join(self, seconds: float) -> bool:
        """Wait for its end, but no longer than this; whether it has ended."""
        self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()

    def reports(self) -> list[SourceReport]:
        """How its sources went; also the one that has not come to its end."""
        run = self.run
        unfinished = run is not None and run is not self._reported
        return [*self._reports, *([run.report()] if run and unfinished else [])]

    def _work(self) -> None:
        try:
            for ref in self.lane.refs:
                if self._shared.stop.is_set:
                    break
                self._label(ref)
                self._tried += 1
        except BaseException as error:
            self._shared.stop.fail(error)
        finally:
            self._news.wake()

    def _label(self, ref: SourceRef) -> None:
        self.opening = ref.name
        try:
            source = self._open_ref(ref)
        except EdgeError as error:
            self._reports.append(SourceReport(ref.name, failure=error))
            self._news.failed(ref.name, error)
            return
        finally:
            self.opening = None
        with source:
            if self._shared.stop.is_set:
                return
            takers = picture_takers(self._outputs, ref, source, self._files)
            run = self.run = SourceRun(source, self._shared, takers, self.lane.roi)
            try:
                run.read()
            except BaseException as error:  # known before its files are closed as if whole
                self._shared.stop.fail(error)
            run.wind_up()
            self._end(run)

    def _end(self, run: SourceRun) -> None:
        report = run.report()
        self._reports.append(report)
        self._reported = run
        run.say_goodbye()
        if report.failure:
            self._news.failed(report.source, report.failure)
