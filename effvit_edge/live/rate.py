"""Notices a source that is slower than the model wants it."""

from __future__ import annotations

_JUDGED_AFTER_SECONDS = 2.0  # of the source's time; then its frame rate is known well enough
_SLOWER = 0.9  # of the model's rate


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
