"""Which frames of a source the model sees: the source's own timestamps on the model's time grid."""

from __future__ import annotations

import math

_SMOOTHING = 0.1  # weight of the newest gap between frames in the running estimate


class RateSampler:
    """Picks frames at the model's rate from a source of any rate, also a variable one.

    The model's grid starts at the first frame and has one slot every ``1 / fps`` seconds. A slot
    takes the frame nearest to it: a frame may come up to half the source's own frame interval
    early, because no later one is nearer. A source slower than the model has every frame taken
    once and leaves slots empty; no frame is ever taken twice.

    Timestamps that jitter by up to 15 % of the source's frame interval do not change which
    frames an integer ratio of rates picks. A jump back by more than one slot (a looping or
    restarted source) starts a new grid.

    Args:
        fps: the model's rate in frames per second.

    Raises:
        ValueError: ``fps`` is not a positive number.
    """

    def __init__(self, fps: float) -> None:
        if not (math.isfinite(fps) and fps > 0):
            raise ValueError(f"fps must be a positive number, got {fps}")
        self._interval = 1.0 / fps
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next frame is taken and starts a new grid."""
        self._origin: float | None = None
        self._last_pts = 0.0
        self._last_slot = 0
        self._source_gap: float | None = None

    def take(self, pts_seconds: float) -> bool:
        """Whether the model should see the frame shown at ``pts_seconds``.

        Call it once for each frame, in the order of presentation.

        Raises:
            ValueError: the timestamp is not a finite number.
        """
        if not math.isfinite(pts_seconds):
            raise ValueError(f"a frame's timestamp must be a finite number, got {pts_seconds}")
        if self._origin is not None and pts_seconds < self._last_pts - self._interval:
            self.reset()
        if self._origin is None:
            self._origin = self._last_pts = pts_seconds
            return True
        early = self._allowed_early(pts_seconds)
        slot = math.floor((pts_seconds - self._origin + early) / self._interval)
        if slot <= self._last_slot:
            return False
        self._last_slot = slot
        return True

    def _allowed_early(self, pts_seconds: float) -> float:
        """Half the source's frame interval, learnt from the gaps between its timestamps."""
        gap = min(pts_seconds - self._last_pts, self._interval)
        if gap > 0:
            self._last_pts = pts_seconds
            if self._source_gap is None:
                self._source_gap = gap
            self._source_gap += _SMOOTHING * (gap - self._source_gap)
        return (self._source_gap or 0.0) / 2
