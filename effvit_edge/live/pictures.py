"""The thread of a source that draws its pictures and shows, streams and encodes them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Protocol

from effvit_edge.live.decision import Decision, Event
from effvit_edge.live.mailbox import Mailbox
from effvit_edge.live.overlay import Image, Overlay
from effvit_edge.live.roi import Box
from effvit_edge.live.stop import Stop
from effvit_edge.sinks import fit_picture

_WAITING_PICTURES = 4  # for a file; each is a whole picture in memory
_NEWEST_PICTURES = 2  # for a live source


@dataclass(frozen=True)
class Shown:
    """A picture on its way to be drawn."""

    image: Image
    pts_seconds: float
    box: Box | None
    """The region that is labelled."""
    is_sampled: bool
    """Whether the model sees it, so that there will be an answer about it."""


class PictureTaker(Protocol):
    """Takes the pictures of one source, in order, in the one thread that draws."""

    @property
    def writes_files(self) -> bool:
        """Whether pictures of a file must not be skipped for it."""
        ...

    @property
    def hears_events(self) -> bool:
        """Whether ``event`` does anything; then it must want every picture."""
        ...

    def wanted(self) -> bool:
        """Whether it wants a picture now; asked in the thread that reads."""
        ...

    def picture(self, plain: Image, pts_seconds: float, drawn: Callable[[], Image]) -> None:
        """The next picture.

        Args:
            plain: as the source gave it.
            pts_seconds: when it is shown.
            drawn: gives it with the panel; called by whoever wants that.
        """
        ...

    def event(self, event: Event) -> None:
        """An event began or ended, before the next picture or at it."""
        ...

    def close(self, complete: bool) -> None:
        """No more will come."""
        ...


class Drawing:
    """Draws the panel into every picture of a source, in the size of the first.

    A picture of another size is fitted before it is drawn on, so that the panel stays where and
    as large as it is.
    """

    def __init__(self, overlay: Overlay) -> None:
        self._overlay = overlay
        self._first: tuple[int, ...] | None = None
        self._height, self._width = 0, 0

    def draw(self, shown: Shown, decision: Decision | None) -> Image:
        """See ``Overlay.draw``."""
        image, box = shown.image, shown.box
        if self._first is None:
            drawn = self._overlay.draw(image, shown.pts_seconds, decision, box)
            self._first, (self._height, self._width) = image.shape, drawn.shape[:2]
            return drawn
        if image.shape != self._first:
            image, box = fit_picture(image, self._height, self._width), None
        return self._overlay.draw(image, shown.pts_seconds, decision, box)


class Pictures:
    """Draws each picture with the newest answer.

    With ``in_step`` no picture is lost, and each is drawn with the answer about it, or about the
    last one before it that the model saw, as if all were done in one thread. Otherwise only the
    newest pictures are drawn, with the newest answer there is.

    Args:
        name: of the source.
        overlay: draws.
        takers: of the pictures.
        in_step: see above.
        stop: told when a taker fails.
        undrawn: called for each picture that is skipped.
    """

    def __init__(
        self,
        name: str,
        overlay: Overlay,
        takers: Sequence[PictureTaker],
        in_step: bool,
        stop: Stop,
        undrawn: Callable[[], None],
    ) -> None:
        self._drawing = Drawing(overlay)
        self._takers = takers
        self._in_step = in_step
        self._stop = stop
        self._undrawn = undrawn
        self._told_dropped = 0
        capacity = _WAITING_PICTURES if in_step else _NEWEST_PICTURES
        self._mailbox: Mailbox[Shown] = Mailbox(capacity, keep_newest=not in_step)
        self._answers: SimpleQueue[tuple[Decision | None, tuple[Event, ...]] | None] = SimpleQueue()
        self._no_more_answers = False
        self._decision: Decision | None = None
        self._complete = False
        self._thread = threading.Thread(target=self._work, name=f"pictures of {name}", daemon=True)
        self._thread.start()

    def put(self, shown: Shown) -> None:
        """Draw this, soon."""
        self._mailbox.put(shown)
        if not self._in_step:
            dropped = self._mailbox.ledger.dropped
            for _ in range(dropped - self._told_dropped):
                self._undrawn()
            self._told_dropped = dropped

    def answer(self, decision: Decision | None, events: tuple[Event, ...]) -> None:
        """What was decided about the next picture that is sampled.

        Answers wait only where they will be fetched: nobody may want a picture for days.
        """
        if self._in_step:
            self._answers.put((decision, events))
            return
        self._decision = decision or self._decision
        if events and any(taker.hears_events for taker in self._takers):
            self._answers.put((None, events))

    def no_more_answers(self) -> None:
        """Nothing more will be decided. Saying so twice is allowed."""
        self._answers.put(None)

    def close(self, complete: bool, seconds: float | None = None) -> bool:
        """Draw what waits and close the takers; whether that took no longer than this."""
        self._complete = complete
        self._mailbox.finish()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def abandon(self) -> None:
        """Draw nothing more: the run is to end."""
        self._mailbox.abandon()

    def _work(self) -> None:
        complete = False
        try:
            while (shown := self._mailbox.take()) is not None:
                self._show(shown)
                self._mailbox.done()
            self._hear_to_the_end()
            complete = self._complete
        except BaseException as error:
            self._stop.fail(error)
            self._mailbox.abandon()
        finally:
            self._close(complete)

    def _close(self, complete: bool) -> None:
        for taker in self._takers:
            try:
                taker.close(complete)
            except BaseException as error:
                self._stop.fail(error)

    def _show(self, shown: Shown) -> None:
        self._hear(shown)
        drawn: list[Image] = []

        def draw() -> Image:
            if not drawn:
                drawn.append(self._drawing.draw(shown, self._decision))
            return drawn[0]

        for taker in self._takers:
            taker.picture(shown.image, shown.pts_seconds, draw)

    def _hear(self, shown: Shown) -> None:
        """Take the answer about this picture, or all events that there are."""
        if self._in_step:
            if shown.is_sampled and not self._no_more_answers:
                self._take(self._answers.get())
            return
        while True:
            try:
                self._take(self._answers.get_nowait())
            except Empty:
                return

    def _hear_to_the_end(self) -> None:
        """The events that ended with the source."""
        while not self._no_more_answers:
            self._take(self._answers.get())

    def _take(self, answer: tuple[Decision | None, tuple[Event, ...]] | None) -> None:
        if answer is None:
            self._no_more_answers = True
            return
        decision, events = answer
        self._decision = decision or self._decision
        for event in events:
            for taker in self._takers:
                taker.event(event)
