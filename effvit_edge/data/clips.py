"""Training clips of real videos: every number a clip, whatever was made before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property, lru_cache, partial
from itertools import islice

import numpy as np
import numpy.typing as npt

from effvit_edge.core.errors import InputError
from effvit_edge.core.preprocess import resize_frame
from effvit_edge.data.augment import Augmentation, ClipAugmenter
from effvit_edge.data.cache import SegmentCache, Stretch, read_stretch, stack_frames
from effvit_edge.data.clip_spec import ClipSpec
from effvit_edge.data.failures import Failures
from effvit_edge.data.footage import open_footage
from effvit_edge.data.sampling import (
    Times,
    count_slots,
    draw_positions,
    draw_uniform,
)
from effvit_edge.data.segments import Segment, SegmentList, states_length
from effvit_edge.data.targets import count_lead, frame_targets
from effvit_edge.data.types import Frames, Targets

ROOM = 1.43
"""Training frames are kept this much larger than the input, so that crops stay sharp."""
_SUBSTITUTES = 20
_CHOICES = 4
"""Frames kept of each part of a segment that is sampled uniformly."""
_OPENED = 32
"""Files that are opened at most to see how long videos are."""


class VideoClips:
    """Endless augmented training clips: each pass takes every segment once, in its own order.

    A segment that cannot be read is replaced by the next of its class. Segments outside the budget
    are read by seeking; their clips then start on the same time grid, at any slot that the stated
    length has, where those in memory start at any frame that there is. Of footage slower than
    ``fps`` there are fewer frames than slots: such clips then end in their last frame, held, more
    often than those in memory.

    Args:
        segments: what there is, labelled.
        spec: what is taken of it; with ``uniform`` sampling the frames in memory have its rate at
            least.
        seed: of the order and of every clip.
        augmentation: what clips may become.
        cache_bytes: budget of decoded frames in memory.
        failed: where what cannot be read is counted; by default it may be anything.

    Raises:
        InputError: nothing can be read, or too much cannot.
        EnvironmentFault: an augmentation needs a library that is not there.
    """

    def __init__(
        self,
        segments: SegmentList,
        spec: ClipSpec,
        *,
        seed: int,
        augmentation: Augmentation | None = None,
        cache_bytes: int = 0,
        failed: Failures | None = None,
    ) -> None:
        self.groups = segments.groups
        self.spec = spec
        self.seed = seed
        self._list = segments
        self._augmentation = augmentation or Augmentation()
        self._augment = ClipAugmenter(spec.preprocess, self._augmentation)
        short_side = round(ROOM * max(spec.preprocess.height, spec.preprocess.width))
        self._shrink = partial(shrink_short_side, short_side=short_side)
        self.failed = failed or Failures(len(segments.segments), max_share=1.0)
        self.failures = self.failed.sentences
        self._durations: dict[str, float] = {}
        self._cache: SegmentCache[Stretch] = SegmentCache(
            segments.segments,
            self._read_whole,
            failures=self.failed,
            budget_bytes=cache_bytes,
            description="decode training videos",
        )
        self.kept_bytes = self._cache.kept_bytes
        self.epoch_clips: int | None = len(self._cache.segments)

    def __getitem__(self, number: int) -> tuple[Frames, Targets]:
        problem: InputError | None = None
        for index in self._candidates(number):
            segment = self._cache.segments[index]
            if segment.name in self.failed:
                continue
            rng = np.random.default_rng((self.seed, 1, number))
            try:
                stretch = self._sample(index, rng)
            except InputError as error:
                problem = problem or error
                self.failed.add(segment.name, error)
                continue
            clip = self._augment(stretch.frames, rng)
            return clip, frame_targets(self._list, segment, stretch.times_s)
        raise InputError(
            f"{_SUBSTITUTES} videos in a row, or all, that are labelled like {self.name(number)} "
            f"cannot be decoded. First: {problem or self.failures[0]}"
        )

    def name(self, number: int) -> str:
        """The segment of a clip, unless it turns out that it cannot be read."""
        return self._cache.segments[self._index(number)].name

    @cached_property
    def lengths_frames(self) -> dict[str, int]:
        """Frames at the model's rate that there are of segments, by name, with their lead-in.

        Of all segments, except where that takes opening files: then of some, spread over the list.
        """
        segments = self._cache.segments
        known: list[int] = []
        others: list[int] = []
        for index, segment in enumerate(segments):
            states = self._cache[index] is not None or states_length(segment, self._list.storage)
            (known if states else others).append(index)
        places = np.linspace(0, len(others) - 1, min(_OPENED, len(others))).round()
        lengths = {}
        for index in sorted([*known, *(others[int(place)] for place in places)]):
            with suppress(InputError):  # which is told when the segment is read
                lengths[segments[index].name] = self._length(index)
        return lengths

    def _length(self, index: int) -> int:
        kept, segment = self._cache[index], self._cache.segments[index]
        if kept is not None:
            return len(kept.times_s)
        lead_s = min(self.spec.lead_s, open_footage(segment, self._list.storage).lead_s())
        return count_slots(self._duration_s(segment) + lead_s, self.spec.fps)

    def _index(self, number: int) -> int:
        count = len(self._cache.segments)
        return int(_pass_order(self.seed, number // count, count)[number % count])

    def _candidates(self, number: int) -> Iterator[int]:
        """The segment of a clip, then those after it with the same first label."""
        segments = self._cache.segments
        first = self._index(number)
        label = segments[first].targets[:1]
        following = (index % len(segments) for index in range(first, first + len(segments)))
        return islice((i for i in following if segments[i].targets[:1] == label), _SUBSTITUTES)

    def _sample(self, index: int, rng: np.random.Generator) -> Stretch:
        """A clip's frames, not augmented yet."""
        kept, segment = self._cache[index], self._cache.segments[index]
        if self.spec.sampling == "uniform":
            times = draw_uniform(rng, self.spec.frames, self._duration_s(segment))
            return self._at(segment, times) if kept is None else _nearest(kept, times)
        if kept is not None:
            lead = min(count_lead(kept.times_s), len(kept.times_s) - 1)
            positions = lead + self._positions(rng, len(kept.times_s) - lead, lead)
            return Stretch(kept.times_s[positions], kept.frames[positions])
        return self._at_rate(segment, rng)

    def _positions(self, rng: np.random.Generator, count: int, lead: int) -> npt.NDArray[np.int64]:
        return draw_positions(
            rng,
            self.spec.frames,
            count=count,
            lead=lead if self.spec.lead_s else None,
            speed=self._augmentation.speed,
        )

    def _at(self, segment: Segment, times: Times) -> Stretch:
        """The frames nearest to some times, by seeking."""
        footage = open_footage(segment, self._list.storage)
        shrunk = _Once(self._shrink)
        frames = [shrunk(frame) for frame in footage.frames_at(times.tolist())]
        return Stretch(times, stack_frames(frames))

    def _at_rate(self, segment: Segment, rng: np.random.Generator) -> Stretch:
        """A clip at the model's rate, by seeking to where it starts."""
        footage = open_footage(segment, self._list.storage)
        count = count_slots(self._duration_s(segment), self.spec.fps)
        lead = int(min(self.spec.lead_s, footage.lead_s()) * self.spec.fps)
        positions = self._positions(rng, count, lead)
        wanted = positions - positions[0]
        pictures = footage.at_rate(self.spec.fps, float(positions[0] / self.spec.fps))
        stretch = read_stretch(islice(pictures, int(wanted[-1]) + 1), self._shrink)
        held = np.minimum(wanted, len(stretch.times_s) - 1)
        return Stretch(stretch.times_s[held], stretch.frames[held])

    def _read_whole(self, segment: Segment) -> Stretch:
        """Everything that any clip of a segment is made from."""
        footage = open_footage(segment, self._list.storage)
        fps, lead_s = self.spec.fps, min(self.spec.lead_s, footage.lead_s())
        if self.spec.sampling == "uniform":
            duration = max(self._duration_s(segment), 1e-3)
            fps = max(fps, _CHOICES * self.spec.frames / duration)
        return read_stretch(footage.at_rate(fps, -lead_s), self._shrink)

    def _duration_s(self, segment: Segment) -> float:
        if segment.name not in self._durations:
            footage = open_footage(segment, self._list.storage)
            self._durations[segment.name] = footage.duration_s()
        return self._durations[segment.name]


def shrink_short_side(frame: Frames, *, short_side: int) -> Frames:
    """Scale a frame down until its short side is ``short_side`` pixels; never up."""
    height, width = frame.shape[:2]
    ratio = short_side / min(height, width)
    if ratio >= 1:
        return frame
    return resize_frame(frame, max(1, round(height * ratio)), max(1, round(width * ratio)))


class _Once:
    """Shrinks a frame that comes again once."""

    def __init__(self, shrink: partial[Frames]) -> None:
        self._shrink = shrink
        self._last: tuple[Frames, Frames] | None = None

    def __call__(self, frame: Frames) -> Frames:
        if self._last is None or self._last[0] is not frame:
            self._last = (frame, self._shrink(frame))
        return self._last[1]


def _nearest(kept: Stretch, times: Times) -> Stretch:
    gaps = np.abs(kept.times_s[None] - times[:, None])
    return Stretch(times, kept.frames[gaps.argmin(axis=1)])


@lru_cache(maxsize=4)
def _pass_order(seed: int, epoch: int, count: int) -> npt.NDArray[np.int64]:
    """The order of one pass over the data."""
    return np.random.default_rng((seed, 2, epoch)).permutation(count)
