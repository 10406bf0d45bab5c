"""Real videos to evaluate on, prepared exactly as they are on the device. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from effvit_edge.core.card import Preprocess
from effvit_edge.core.errors import InputError
from effvit_edge.core.preprocess import preprocess_frame
from effvit_edge.data.cache import SegmentCache, read_stretch
from effvit_edge.data.clip_spec import ClipSpec
from effvit_edge.data.failures import Failures
from effvit_edge.data.footage import Footage, open_footage
from effvit_edge.data.sampling import spread_starts, spread_uniform
from effvit_edge.data.segments import Segment, SegmentList
from effvit_edge.data.targets import frame_targets, target_row
from effvit_edge.data.types import Frames, LabelledSequence, Targets

_CROPS = (1, 3)


class VideoSequences:
    """Every segment once: whole, as a stream shows it, or as views that are averaged.

    Args:
        segments: what there is, labelled.
        spec: what is taken of it; of views, no lead-in.
        views: clips over time and crops of each along the longer side; None for the whole segment.
        cache_bytes: budget of prepared frames in memory.
        failed: where what cannot be read is counted; by default it may be anything.
        share: which segments these are: from the first number on every so many-th, so that several
            processes need not decode for each other. Failures are counted against all of them.

    Raises:
        InputError: nothing can be read or too much cannot, or views that there are not.
    """

    def __init__(
        self,
        segments: SegmentList,
        spec: ClipSpec,
        *,
        views: tuple[int, int] | None = None,
        cache_bytes: int = 0,
        failed: Failures | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        _check_views(views, spec.preprocess)
        self.groups = segments.groups
        self._list = segments
        self._spec = spec
        self._views = views if spec.sampling == "rate" else views or (1, 1)
        self.failed = failed or Failures(len(segments.segments), max_share=1.0)
        self.failures = self.failed.sentences
        first, step = share
        self._cache: SegmentCache[_Prepared] = SegmentCache(
            segments.segments[first::step],
            self._read,
            failures=self.failed,
            budget_bytes=cache_bytes,
            description="decode evaluation videos",
            may_be_empty=step > 1,
        )
        self.kept_bytes = self._cache.kept_bytes

    def __len__(self) -> int:
        return len(self._cache.segments)

    def __getitem__(self, index: int) -> LabelledSequence | None:
        segment, prepared = self._cache.segments[index], self._cache[index]
        if prepared is None:
            try:
                prepared = self._read(segment)
            except InputError as error:
                self.failed.add(segment.name, error)
                return None
        return LabelledSequence(segment.name, prepared.frames, prepared.targets)

    def _read(self, segment: Segment) -> _Prepared:
        footage = open_footage(segment, self._list.storage)
        if self._views is None:
            return self._read_stream(segment, footage)
        clips, crops = self._views
        if self._spec.sampling == "uniform":
            views = self._read_uniform(footage, clips, crops)
        else:
            views = self._read_clips(footage, clips, crops)
        # (clips, T, crops, h, w, 3) -> (V, T, h, w, 3)
        views = np.moveaxis(views, 2, 1).reshape(-1, self._spec.frames, *views.shape[3:])
        return _Prepared(views, target_row(self._list, segment)[None])

    def _read_stream(self, segment: Segment, footage: Footage) -> _Prepared:
        lead_s = min(self._spec.lead_s, footage.lead_s())
        stretch = read_stretch(footage.at_rate(self._spec.fps, -lead_s), self._prepare)
        return _Prepared(stretch.frames, frame_targets(self._list, segment, stretch.times_s))

    def _read_clips(self, footage: Footage, clips: int, crops: int) -> Frames:
        """Clips at the model's rate, evenly spread, ``(clips, T, crops, h, w, 3)``."""
        length = self._spec.frames
        prepared = [self._crops(frame, crops) for _, frame in footage.at_rate(self._spec.fps)]
        starts = spread_starts(len(prepared), length, clips)
        last = len(prepared) - 1  # a short one is held
        return np.stack(
            [np.stack([prepared[min(s + t, last)] for t in range(length)]) for s in starts]
        )

    def _read_uniform(self, footage: Footage, clips: int, crops: int) -> Frames:
        """Clips of one frame from each part, ``(clips, T, crops, h, w, 3)``."""
        times = np.stack(spread_uniform(self._spec.frames, footage.duration_s(), clips))
        order = np.argsort(times, axis=None, kind="stable")
        prepared: dict[int, Frames] = {}
        for position, frame in zip(
            order, footage.frames_at(times.ravel()[order].tolist()), strict=True
        ):
            prepared[int(position)] = self._crops(frame, crops)
        flat = np.stack([prepared[position] for position in range(times.size)])
        return flat.reshape(clips, self._spec.frames, *flat.shape[1:])

    def _crops(self, frame: Frames, crops: int) -> Frames:
        places = [0.5] if crops == 1 else np.linspace(0, 1, crops).tolist()
        return np.stack(
            [preprocess_frame(frame, self._spec.preprocess, place=place) for place in places]
        )

    def _prepare(self, frame: Frames) -> Frames:
        return preprocess_frame(frame, self._spec.preprocess)


@dataclass(frozen=True, eq=False)
class _Prepared:
    """What is kept of a segment."""

    frames: Frames
    targets: Targets

    @property
    def nbytes(self) -> int:
        return self.frames.nbytes


def _check_views(views: tuple[int, int] | None, spec: Preprocess) -> None:
    if views is None:
        return
    clips, crops = views
    if clips < 1 or crops not in _CROPS:
        raise InputError(
            f"eval.clips is {clips} and eval.crops is {crops}; give one clip or more, and one crop "
            f"or three."
        )
    if crops > 1 and spec.resize != "short_side":
        raise InputError(
            f"eval.crops is {crops}, but with input.resize {spec.resize} every crop shows the "
            f"whole frame. Give 1."
        )
