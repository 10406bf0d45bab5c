"""One source from its first frame to its last: label, draw, write down."""

from __future__ import annotations

from dataclasses import dataclass, field

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.errors import EdgeError
from effvit_edge.live.decision import Decision
from effvit_edge.live.labeller import Labeller
from effvit_edge.live.overlay import Image, Overlay
from effvit_edge.live.watch import Watcher
from effvit_edge.sinks import PictureSink, RecordSink, fit_picture
from effvit_edge.sources import Frame, Losses, Source

_JUDGED_AFTER_SECONDS = 2.0  # of the source's time; then its frame rate is known well enough
_SLOWER = 0.9  # of the model's rate


@dataclass
class SourceReport:
    """How one source went."""

    source: str
    is_live: bool = False
    frames: int = 0
    decisions: int = 0
    seconds: float = 0.0
    """Of wall clock."""
    losses: Losses = field(default_factory=Losses)
    failure: EdgeError | None = None
    """Why the source gave no more frames, or none at all; None when it came to its end."""
    stopped: bool = False
    """Whether someone asked to stop before the end."""
    last: Decision | None = None

    @property
    def complete(self) -> bool:
        """Whether there is no more to come: a camera has no end that it could be short of."""
        cut = self.stopped or (self.failure is not None and self.frames > 0)
        return self.is_live or not cut


class RateWatch:
    """Notices a source with fewer frames a second than the model was trained on."""

    def __init__(self, model_fps: float) -> None:
        self._model_fps = model_fps
        self._first: float | None = None
        self._gaps = 0
        self._told = False

    def see(self, pts_seconds: float, at_end: bool = False) -> str | None:
        """What to say about it: once, when enough was seen or the source has ended."""
        if self._first is None:
            self._first = pts_seconds
            return None
        self._gaps += not at_end
        span = pts_seconds - self._first
        if self._told or span <= 0 or not (at_end or span >= _JUDGED_AFTER_SECONDS):
            return None
        self._told = True
        fps = self._gaps / span
        if fps >= _SLOWER * self._model_fps:
            return None
        return (
            f"has {fps:.3g} frames a second and the model was trained at {self._model_fps:g}: "
            "each frame is used once, and motion looks faster to the model than it is"
        )


class Drawing:
    """Draws the panel into every picture of a source, in the size of the first.

    A picture of another size is fitted before it is drawn on, so that the panel stays where and
    as large as it is.
    """

    def __init__(self, overlay: Overlay) -> None:
        self._overlay = overlay
        self._first: tuple[int, ...] | None = None
        self._height, self._width = 0, 0

    def draw(self, image: Image, pts_seconds: float, decision: Decision | None) -> Image:
        """See ``Overlay.draw``."""
        if self._first is None:
            drawn = self._overlay.draw(image, pts_seconds, decision)
            self._first, (self._height, self._width) = image.shape, drawn.shape[:2]
            return drawn
        if image.shape != self._first:
            image = fit_picture(image, self._height, self._width)
        return self._overlay.draw(image, pts_seconds, decision)


def label_source(
    source: Source,
    labeller: Labeller,
    records: RecordSink | None = None,
    pictures: PictureSink | None = None,
    watcher: Watcher | None = None,
    clock: Clock | None = None,
) -> SourceReport:
    """Label every frame of a source, in order, and drop none.

    Args:
        source: read to its end; closing it is the caller's.
        labeller: reset here, so that nothing of an earlier source is remembered.
        records: takes one record a decision.
        pictures: takes every frame of the source, drawn with the latest decision.
        watcher: is told of each frame, and asked whether to stop.
        clock: for the time it took.

    Returns:
        How it went. An error of the source is in ``failure``; those of the model and of the sinks
        are raised.
    """
    watcher = watcher or Watcher()
    clock = clock or MonotonicClock()
    card = labeller.session.card
    drawing = Drawing(Overlay(card.labels, labeller.topk))
    report = SourceReport(source.name, source.is_live, losses=source.losses)
    rate = RateWatch(card.fps)
    labeller.reset()
    started, pts_seconds = clock.now(), 0.0
    while not (stopped := watcher.should_stop()):
        frame = _read(source, report)
        if frame is None:
            break
        pts_seconds = frame.pts_seconds
        changes = labeller.size_changes
        decision = labeller.feed(frame, source.name, source.losses.frames)
        if labeller.size_changes > changes:
            _tell(watcher, source, f"changes its size at {pts_seconds:.2f} s, and is judged anew")
        report.frames += 1
        if decision is not None:
            report.decisions += 1
            report.last = decision
            if records:
                records.write(decision.to_record())
        if pictures:
            pictures.write(drawing.draw(frame.image, pts_seconds, report.last), pts_seconds)
        watcher.frame_done(frame, decision)
        _tell(watcher, source, rate.see(pts_seconds))
    report.stopped = stopped
    report.seconds = clock.now() - started
    if report.frames:
        _tell(watcher, source, rate.see(pts_seconds, at_end=True))
    if report.failure:
        watcher.source_failed(source.name, report.failure)
    if report.losses:
        _tell(watcher, source, f"has {report.losses}")
    return report


def _read(source: Source, report: SourceReport) -> Frame | None:
    """The next frame; None at the end, and where the source fails, which the report then says."""
    try:
        outcome = source.read()
    except EdgeError as error:
        report.failure = error
        return None
    return outcome if isinstance(outcome, Frame) else None


def _tell(watcher: Watcher, source: Source, text: str | None) -> None:
    if text:
        watcher.note(f"{source.name} {text}.")
