"""From a source's frames to what the model eats: chosen at its rate, cut, scaled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from effvit_edge.core.card import ModelCard
from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.optional import require
from effvit_edge.core.preprocess import preprocess_frame
from effvit_edge.core.sampling import RateSampler
from effvit_edge.live.roi import Box, Roi, cut
from effvit_edge.sources import Frame

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""``(H, W, 3)`` uint8 RGB of the model's size."""


@dataclass(frozen=True)
class Prepared:
    """One frame, ready for the model."""

    index: int
    pts_seconds: float
    arrival_seconds: float
    grab_ms: float
    decode_ms: float
    preprocess_ms: float
    pixels: Pixels
    stretch: int
    """Rises where the model's window has to start anew."""
    lost: int
    """Frames of the source that could not be used, when this one was read."""


class Intake:
    """Chooses the frames of one source that the model sees, and prepares them.

    Args:
        card: the model's.
        roi: the part of the picture to look at; all of it by default.
        clock: measures.

    Raises:
        EnvironmentFault: OpenCV is not installed.
    """

    def __init__(self, card: ModelCard, roi: Roi | None = None, clock: Clock | None = None) -> None:
        require("cv2", "video")  # preprocessing needs it: say so now, not at the first frame
        self._spec = card.preprocess
        self._sampler = RateSampler(card.fps)
        self._roi = roi
        self._clock = clock or MonotonicClock()
        self._segment: int | None = None
        self._size: tuple[int, ...] | None = None
        self._stretch = 0
        self.restart: Literal["gap", "size"] | None = None
        """Why the window starts anew at the frame given last; None where it does not."""

    def take(self, frame: Frame, lost: int = 0) -> Prepared | None:
        """Prepare the next frame, or pass it by; its picture is looked at only when needed.

        Args:
            frame: frames come in order.
            lost: frames of the source that could not be used so far.

        Raises:
            InputError: the region does not lie in the picture.
        """
        self.restart = None
        if self._segment not in (None, frame.segment):
            self._start_anew("gap")
        self._segment = frame.segment
        if not self._sampler.take(frame.pts_seconds):
            return None
        image = frame.image
        if self._size not in (None, image.shape):
            self._start_anew("size")
            self._sampler.take(frame.pts_seconds)
        self._size = image.shape
        started = self._clock.now()
        pixels = preprocess_frame(cut(image, self.box(*image.shape[:2])), self._spec)
        spent_ms = (self._clock.now() - started) * 1000
        return Prepared(
            frame.index,
            frame.pts_seconds,
            frame.arrival_seconds,
            frame.grab_ms,
            frame.decode_ms,
            spent_ms,
            pixels,
            self._stretch,
            lost,
        )

    def box(self, height: int, width: int) -> Box | None:
        """The region in a picture of that size; None where all is looked at."""
        return self._roi.pixels(height, width) if self._roi else None

    def _start_anew(self, why: Literal["gap", "size"]) -> None:
        self._sampler.reset()
        self._stretch += 1
        self.restart = why
