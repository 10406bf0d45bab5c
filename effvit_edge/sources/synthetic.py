"""A rendered film of known motion as a source, which is there on every machine."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

import numpy as np

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.closing import Closing
from effvit_edge.core.motion import LABELS, render_film
from effvit_edge.sources.base import Image
from effvit_edge.sources.capture import Grabbed
from effvit_edge.sources.options import Options

SEGMENT_SECONDS = 3.0
"""How long each motion lasts."""

DEFAULT_FPS = 30.0
_KEPT_BYTES = 64 << 20  # a film that fits is rendered once and played again and again


class MotionFilm:
    """A film that goes through all motions and starts again, and what is true about each frame.

    Args:
        width: pixels.
        height: pixels.
        fps: frames a second; content moves as fast whatever it is.
        seed: fixes the film.
    """

    def __init__(self, width: int, height: int, fps: float, seed: int) -> None:
        self._size, self._fps, self._seed = (height, width), fps, seed
        order = np.random.default_rng(seed).permutation(LABELS)
        self._labels = [str(label) for label in order]
        self._frames_a_label = max(1, round(SEGMENT_SECONDS * fps))

    def __len__(self) -> int:
        """Frames until it starts again."""
        return len(self._labels) * self._frames_a_label

    def label(self, index: int) -> str:
        """The motion that led to a frame, counted from 0 over all rounds."""
        return self._labels[index % len(self) // self._frames_a_label]

    def frames(self) -> Iterator[Image]:
        """Its pictures, ``(H, W, 3)`` uint8 RGB, round after round; not to be written to."""
        if self._is_kept:
            return itertools.cycle(self._round())
        return itertools.chain.from_iterable(self._round() for _ in itertools.count())

    def rendered(self) -> Iterator[Image]:
        """The same, with the first round rendered beforehand where it is kept anyway."""
        return itertools.cycle(list(self._round())) if self._is_kept else self.frames()

    @property
    def _is_kept(self) -> bool:
        return len(self) * self._size[0] * self._size[1] * 3 <= _KEPT_BYTES

    def _round(self) -> Iterator[Image]:
        film = render_film(self._seed, self._size, self._fps, SEGMENT_SECONDS, self._labels)
        for frame in film:
            frame.image.flags.writeable = False
            yield frame.image


class SyntheticCapture(Closing):
    """Plays a film, as fast as it is asked or at its own rate.

    Args:
        options: ``size``, ``fps``, ``seconds``, ``seed`` and ``paced``.
        clock: stamps the frames and tells when the next is due.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        options: Options,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._fps = options.fps or DEFAULT_FPS
        self.film = MotionFilm(*options.size, self._fps, options.seed)
        # Rendering a scene's first frame takes too long for a source that keeps its pace.
        self._pictures = self.film.rendered() if options.paced else self.film.frames()
        self._clock, self._sleep = clock or MonotonicClock(), sleep
        self._paced = options.paced
        self._started: float | None = None
        self._index = 0
        self.nominal_fps: float | None = self._fps
        self.expected_frames: int | None = None
        if options.seconds is not None:
            self.expected_frames = max(1, round(options.seconds * self._fps))
        self.backend = f"rendered motion, {options.size[0]}x{options.size[1]}"

    def grab(self) -> Grabbed | None:
        """See ``Capture.grab``."""
        if self._index == self.expected_frames:
            return None
        pts_seconds = self._index / self._fps
        started = self._clock.now()
        picture = next(self._pictures)
        arrival = self._clock.now()
        rendering_ms = (arrival - started) * 1000
        if self._paced:
            arrival = self._wait_until_due(arrival, pts_seconds)
        self._index += 1
        return Grabbed(pts_seconds, arrival, rendering_ms, lambda: picture)

    def close(self) -> None:
        """See ``Capture.close``."""
        self.expected_frames = self._index

    def _wait_until_due(self, now: float, pts_seconds: float) -> float:
        if self._started is None:
            self._started = now
        early = self._started + pts_seconds - now
        if early > 0:
            self._sleep(early)
        return self._clock.now()
