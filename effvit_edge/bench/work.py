"""What is measured: from a picture to a label, as labelling does it.

Notation: H W are the model's input in pixels, T its frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.errors import InputError
from effvit_edge.core.motion.film import render_film
from effvit_edge.core.preprocess import preprocess_frame
from effvit_edge.core.sampling import RateSampler
from effvit_edge.runtime import Logits, Session
from effvit_edge.sources import Frame
from effvit_edge.sources.file import FileSource

Image = npt.NDArray[np.uint8]

_INFER = ("infer",)
_SPLIT = ("h2d", "infer", "d2h", "host")
"""Where a session tells them apart: the way to the device, the model, the way back; and what the
host adds, to start it all and to wake up after it."""
_MOST_PICTURES, _PICTURES_BYTES = 48, 16 << 20
"""So many at most, and not more of memory: it stands in the result as the process's."""
_TOP = 3


class LabelWork:
    """One more frame of each of several streams: resized, shown to the model, its label found.

    A clip model is shown the newest T frames, of which one is new.

    Args:
        session: the model; not closed here.
        pictures: shown in turn, ``(height, width, 3)`` uint8 RGB of any size.
        streams: how many, each with a state of its own.
        clock: measures the stages.
        prepared: resize all pictures beforehand; the stage then takes no time.
    """

    def __init__(
        self,
        session: Session,
        pictures: Sequence[Image],
        streams: int = 1,
        clock: Clock | None = None,
        *,
        prepared: bool = False,
    ) -> None:
        self._session = session
        self._spec = session.card.preprocess
        self._prepared = prepared
        self._pictures = [self._resize(picture) for picture in pictures] if prepared else pictures
        self._clock = clock or MonotonicClock()
        self._next = 0
        self._streams = [_Stream(session) for _ in range(streams)]

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of what a call tells."""
        return stages_of(self._session)

    def __call__(self) -> tuple[float, ...]:
        """Do it, and tell each stage's milliseconds, of all streams together."""
        told = [self._show(stream) for stream in self._streams]
        return told[0] if len(told) == 1 else tuple(map(sum, zip(*told, strict=True)))

    def _show(self, stream: _Stream) -> tuple[float, ...]:
        now = self._clock.now
        picture = self._pictures[self._next % len(self._pictures)]
        self._next += 1
        started = now()
        pixels = picture if self._prepared else self._resize(picture)
        resized = now()
        logits = stream.show(pixels)
        answered = now()
        best_labels(logits)
        preprocess, infer, post = _steps(started, resized, answered, now())
        return preprocess, *_parts(self._session, infer), post

    def _resize(self, picture: Image) -> Image:
        return preprocess_frame(picture, self._spec)


class VideoWork:
    """The next frame of a video that the model takes: read, resized, shown, its label found.

    One thing after another, on one thread: what a label costs, not how much of that overlaps.
    Frames between those that the model takes are decoded with the next one. The file begins anew at
    its end, and the stream with it.

    Args:
        session: the model; not closed here.
        path: of a video file.
        clock: measures the stages.

    Raises:
        EdgeError: the file cannot be read.
    """

    def __init__(self, session: Session, path: Path, clock: Clock | None = None) -> None:
        self._session = session
        self._path = path
        self._clock = clock or MonotonicClock()
        self._sampler = RateSampler(session.card.fps)
        self._begin()

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of what a call tells."""
        return ("decode", *stages_of(self._session))

    def __call__(self) -> tuple[float, ...]:
        """Do it, and tell each stage's milliseconds."""
        now = self._clock.now
        started = now()
        picture = self._next_picture()
        decoded = now()
        pixels = preprocess_frame(picture, self._session.card.preprocess)
        resized = now()
        logits = self._stream.show(pixels)
        answered = now()
        best_labels(logits)
        decode, preprocess, infer, post = _steps(started, decoded, resized, answered, now())
        return decode, preprocess, *_parts(self._session, infer), post

    def close(self) -> None:
        """Give the file back. Closing twice is allowed."""
        self._source.close()

    def _begin(self) -> None:
        self._source = FileSource(self._path)
        self._sampler.reset()
        self._stream = _Stream(self._session)
        self._frames = 0

    def _next_picture(self) -> Image:
        while True:
            outcome = self._source.read()
            if isinstance(outcome, Frame):
                self._frames += 1
                if self._sampler.take(outcome.pts_seconds):
                    return outcome.image
                continue
            if not self._frames:
                raise InputError(f"{self._path} has no picture that can be used.")
            self._source.close()
            self._begin()


class _Stream:
    """One stream's past."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._is_clip = session.card.mode == "clip"
        self._window: deque[Image] = deque(maxlen=session.card.num_frames)
        self._state = None if self._is_clip else session.init_state()

    def show(self, pixels: Image) -> Logits:
        """The logits after one more frame."""
        if self._state is not None:
            logits, self._state = self._session.step(pixels, self._state)
            return logits
        if not self._window:
            self._window.extend([pixels] * self._session.card.num_frames)
        self._window.append(pixels)
        return self._session.run(np.stack(self._window))


def stages_of(session: Session) -> tuple[str, ...]:
    """The stages from a picture to its label that this session tells apart."""
    infer = _SPLIT if session.telemetry.split_by else _INFER
    return ("preprocess", *infer, "post")


def _steps(*marks: float) -> tuple[float, ...]:
    """Milliseconds between seconds."""
    return tuple(1000 * (after - before) for before, after in pairwise(marks))


def _parts(session: Session, infer: float) -> tuple[float, ...]:
    """What an answer's milliseconds are made of; only of the stages that are told apart."""
    split = session.telemetry.split
    if split is None:
        return (infer,)
    device = (split.upload, split.infer, split.download)
    return *device, max(0.0, infer - sum(device))


def best_labels(logits: Logits) -> list[int]:
    """The classes of the highest scores, best first."""
    scores = np.exp(logits - logits.max())
    scores /= scores.sum()
    order: list[int] = np.argsort(-scores, kind="stable")[:_TOP].tolist()
    return order


def rendered_pictures(height: int, width: int, count: int | None = None) -> list[Image]:
    """Pictures of a rendered film: not noise, so that resizing and caches work as on real ones.

    Args:
        height: in pixels.
        width: in pixels.
        count: how many; by default as many as 16 MiB hold, two at least.
    """
    if count is None:
        count = max(2, min(_MOST_PICTURES, _PICTURES_BYTES // (3 * height * width)))
    film = render_film(0, (height, width))
    return [next(film).image for _ in range(count)]
