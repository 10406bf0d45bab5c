"""A segment's pictures by time, from a strip of any kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from effvit_edge.core.errors import InputError
from effvit_edge.core.sampling import RateSampler
from effvit_edge.core.video import Losses
from effvit_edge.data.footage.strip import Shown, Strip
from effvit_edge.data.segments import Segment
from effvit_edge.data.types import Frames

_SAME_S = 1e-5
"""Times this close are the same: ticks of a file and seconds of a list are rounded differently."""
_TOO_EARLY_S = 1.0
"""Footage that ends this much before its segment begins is not the footage of that segment."""


class SegmentFootage:
    """See :class:`effvit_edge.data.footage.base.Footage`.

    Args:
        segment: which stretch.
        open_strip: opens its storage.
    """

    def __init__(self, segment: Segment, open_strip: Callable[[], Strip]) -> None:
        self.losses = Losses()
        self._segment = segment
        self._open_strip = open_strip
        self._end = math.inf if segment.end_s is None else segment.end_s - _SAME_S

    def duration_s(self) -> float:
        """See ``Footage.duration_s``."""
        if self._segment.end_s is not None:
            return self._segment.end_s - self._segment.start_s
        with closing(self._open_strip()) as strip:
            return max(0.0, strip.duration_s() - self._segment.start_s)

    def lead_s(self) -> float:
        """See ``Footage.lead_s``."""
        return self._segment.start_s

    def frames_at(self, times_s: Sequence[float]) -> Iterator[Frames]:
        """See ``Footage.frames_at``."""
        with closing(self._open_strip()) as strip:
            self.losses = strip.losses
            finder = _Nearest(strip, self._end)
            held: Shown | None = None
            image: Frames | None = None
            for time in times_s:
                found = finder.at(self._segment.start_s + time)
                if held is None and time >= 0 and finder.ended:
                    self._check_begun(found)
                if image is None or found is not held:
                    held, image = found, found.to_rgb()
                yield image

    def at_rate(self, fps: float, from_s: float = 0.0) -> Iterator[tuple[float, Frames]]:
        """See ``Footage.at_rate``."""
        begin = min(self._segment.start_s + from_s, self._end)
        sampler = RateSampler(fps)
        before: Shown | None = None
        begun = False
        with closing(self._open_strip()) as strip:
            self.losses = strip.losses
            strip.go_to(begin)
            while (shown := strip.read()) is not None:
                if shown.seconds >= self._end and (begun or before):
                    break
                if shown.seconds < begin - _SAME_S:
                    before = shown
                    continue
                begun = True
                if sampler.take(shown.seconds):
                    yield shown.seconds - self._segment.start_s, shown.to_rgb()
            if not begun and before is not None:
                if shown is None:
                    self._check_begun(before)
                yield begin - self._segment.start_s, before.to_rgb()

    def _check_begun(self, last: Shown) -> None:
        """Refuse footage whose last picture is long before the segment's start."""
        segment = self._segment
        if last.seconds < segment.start_s - _TOO_EARLY_S:
            raise InputError(
                f"{segment.path} ends at {last.seconds:.1f} s, before segment {segment.name} "
                f"begins at {segment.start_s:.1f} s. Check the list against the file."
            )


class _Nearest:
    """Finds the picture nearest to a time, for times that do not decrease.

    Args:
        strip: just opened.
        end: pictures from here on do not count, unless there is no other.
    """

    def __init__(self, strip: Strip, end: float) -> None:
        self._strip = strip
        self._end = end
        self._held: Shown | None = None
        self._next: Shown | None = None
        self.ended = False
        """Whether there is nothing in the strip beyond what was found last."""

    def at(self, seconds: float) -> Shown:
        """The picture nearest to ``seconds``; of two as near, the earlier."""
        wanted = min(seconds, self._end)
        if self._held is None or self._is_far(wanted):
            self._go(wanted)
        while self._next is not None and self._next.seconds <= wanted:
            self._step()
        held, following = self._held, self._next
        assert held is not None
        if following is None or held.seconds >= wanted:
            return held
        nearer = following.seconds - wanted < wanted - held.seconds - _SAME_S
        return following if nearer else held

    def _is_far(self, seconds: float) -> bool:
        """Whether a time is better gone to than read up to."""
        following = self._next
        if following is None or following.seconds > seconds:
            return False
        return self._strip.gains(following.seconds, seconds)

    def _go(self, seconds: float) -> None:
        self._strip.go_to(seconds)
        self._held = self._strip.read()
        if self._held is None:
            raise InputError("There is not a single picture in it.")
        self._read_next()

    def _step(self) -> None:
        self._held = self._next
        self._read_next()

    def _read_next(self) -> None:
        shown = self._strip.read()
        self.ended = shown is None
        self._next = None if shown is None or shown.seconds >= self._end else shown
