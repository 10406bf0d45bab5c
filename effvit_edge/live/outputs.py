"""Where labels, events and pictures go, and who takes the pictures of one source."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from effvit_edge.live.decision import Decision, Event
from effvit_edge.live.overlay import Image
from effvit_edge.live.pictures import PictureTaker
from effvit_edge.sinks import ClipOptions, ClipRecorder, FeedSink, RecordSink, VideoSink, WindowSink
from effvit_edge.sources import Source, SourceRef


@dataclass
class Outputs:
    """Where the labels go. What is given here is closed by the run."""

    records: RecordSink | None = None
    """Takes the records of all sources."""
    video_path: Callable[[SourceRef], Path | None] | None = None
    """The annotated video of each source; None for none at all, or none of that source."""
    events: RecordSink | None = None
    """Takes the events of all sources, each when it has ended."""
    clips: ClipOptions | None = None
    """Where a video around each event is kept; None for none."""
    feeds: Sequence[FeedSink] = ()
    """Show others what goes on."""
    window: WindowSink | None = None
    """Shows the pictures here; the thread that called the run keeps it alive."""
    decided: Callable[[Decision], None] | None = None
    """Is called with each decision, in a thread of its own; raising ends the run."""

    @property
    def want_events(self) -> bool:
        """Whether anyone here is told of events."""
        return bool(self.events or self.clips or self.feeds)


@dataclass
class Files:
    """The files that were written, from any thread."""

    videos: list[Path] = field(default_factory=list)
    clips: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    """Those that are under a partial name."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, kind: list[Path], path: Path | None, complete: bool) -> None:
        """Remember a file, where there is one."""
        with self._lock:
            if path:
                kind.append(path)
                if not complete:
                    self.kept.append(path)


def picture_takers(
    outputs: Outputs, ref: SourceRef, source: Source, files: Files
) -> list[PictureTaker]:
    """Who wants the pictures of a source; those that write files first.

    Raises:
        EdgeError: what is needed to write is missing.
    """
    takers: list[PictureTaker] = []
    video = outputs.video_path and outputs.video_path(ref)
    if video:
        takers.append(_Video(VideoSink(video, source.nominal_fps), files))
    if outputs.clips:
        takers.append(_Clips(ClipRecorder(outputs.clips, ref.name, source.nominal_fps), files))
    if outputs.window:
        takers.append(_Window(outputs.window, ref.name))
    if outputs.feeds:
        takers.append(_Feeds(outputs.feeds, ref.name))
    return takers


class _Video:
    """The annotated video."""

    writes_files = True
    hears_events = False

    def __init__(self, sink: VideoSink, files: Files) -> None:
        self._sink = sink
        self._files = files

    def wanted(self) -> bool:
        return True

    def picture(self, plain: Image, pts_seconds: float, drawn: Callable[[], Image]) -> None:
        self._sink.write(drawn(), pts_seconds)

    def event(self, event: Event) -> None:
        pass

    def close(self, complete: bool) -> None:
        self._files.add(self._files.videos, self._sink.close(complete), complete)


class _Clips:
    """A video around each event, of pictures without the panel."""

    writes_files = True
    hears_events = True

    def __init__(self, recorder: ClipRecorder, files: Files) -> None:
        self._recorder = recorder
        self._files = files

    def wanted(self) -> bool:
        return True

    def picture(self, plain: Image, pts_seconds: float, drawn: Callable[[], Image]) -> None:
        self._note(self._recorder.picture(plain, pts_seconds))

    def event(self, event: Event) -> None:
        if event.end_seconds is None:
            self._recorder.begin(event.id, event.label, event.start_seconds)
        else:
            self._recorder.end(event.id, event.end_seconds)

    def close(self, complete: bool) -> None:
        self._note(self._recorder.close())

    def _note(self, paths: Sequence[Path]) -> None:
        for path in paths:
            self._files.add(self._files.clips, path, complete=True)


class _Window:
    """The window on this machine."""

    writes_files = False
    hears_events = False

    def __init__(self, window: WindowSink, name: str) -> None:
        self._window = window
        self._name = name

    def wanted(self) -> bool:
        return True

    def picture(self, plain: Image, pts_seconds: float, drawn: Callable[[], Image]) -> None:
        self._window.show(self._name, drawn())

    def event(self, event: Event) -> None:
        pass

    def close(self, complete: bool) -> None:
        self._window.forget(self._name)


class _Feeds:
    """Those who watch from elsewhere, while they do."""

    writes_files = False
    hears_events = False

    def __init__(self, feeds: Sequence[FeedSink], name: str) -> None:
        self._feeds = feeds
        self._name = name

    def wanted(self) -> bool:
        return any(feed.wants_picture(self._name) for feed in self._feeds)

    def picture(self, plain: Image, pts_seconds: float, drawn: Callable[[], Image]) -> None:
        for feed in self._feeds:
            if feed.wants_picture(self._name):
                feed.picture(self._name, drawn(), pts_seconds)

    def event(self, event: Event) -> None:
        pass

    def close(self, complete: bool) -> None:
        pass
