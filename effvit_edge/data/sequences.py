"""Real videos to evaluate on, prepared exactly as they are on the device. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from effvit_edge.core.card import Preprocess
from effvit_edge.core.errors import InputError
from effvit_edge.core.preprocess import preprocess_frame
from effvit_edge.data.cache import SegmentCache, read_stretch
from effvit_edge.data.clips import Sampling
from effvit_edge.data.failures import count_missing
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
        spec: the model's input.
        fps: rate of the frames, per second, for ``rate`` sampling.
        frames: frames of a view.
        sampling: see :mod:`effvit_edge.data.sampling`.
        views: clips over time and crops of each along the longer side; None for the whole segment.
        lead_s: seconds before a segment that are shown first, without a label; for streams.
        cache_bytes: budget of prepared frames in memory.
        max_failed_share: share of the segments that may be missing or unreadable.
        missing: a sentence for each file that is known to be missing.
        listed: segments on the list, those of missing files included; by default one for each.
        share: which segments these are: from the first number on every so many-th, so that several
            processes need not decode for each other. Failures are counted against all of them.

    Raises:
        InputError: nothing can be read or too much cannot, or views that there are not.
    """

    def __init__(
        self,
        segments: SegmentList,
        spec: Preprocess,
        *,
        fps: float,
        frames: int,
        sampling: Sampling = "rate",
        views: tuple[int, int] | None = None,
        lead_s: float = 0.0,
        cache_bytes: int = 0,
        max_failed_share: float = 1.0,
        missing: Sequence[str] = (),
        listed: int | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        _check_views(views, spec)
        self.groups = segments.groups
        self._list = segments
        self._spec = spec
        self._fps = fps
        self._num_frames = frames
        self._sampling = sampling
        self._views = views if sampling == "rate" else views or (1, 1)
        self._lead_s = lead_s
        self.failed = count_missing(segments, max_failed_share, missing, listed)
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
        if self._sampling == "uniform":
            views = self._read_uniform(footage, clips, crops)
        else:
            views = self._read_clips(footage, clips, crops)
        # (clips, T, crops, h, w, 3) -> (V, T, h, w, 3)
        views = np.moveaxis(views, 2, 1).reshape(-1, self._num_frames, *views.shape[3:])
        return _Prepared(views, target_row(self._list, segment)[None])

    def _read_stream(self, segment: Segment, footage: Footage) -> _Prepared:
        lead_s = min(self._lead_s, footage.lead_s())
        stretch = read_stretch(footage.at_rate(self._fps, -lead_s), self._prepare)
        return _Prepared(stretch.frames, frame_targets(self._list, segment, stretch.times_s))

    def _read_clips(self, footage: Footage, clips: int, crops: int) -> Frames:
        """Clips at the model's rate, evenly spread, ``(clips, T, crops, h, w, 3)``."""
        length = self._num_frames
        prepared = [self._crops(frame, crops) for _, frame in footage.at_rate(self._fps)]
        starts = spread_starts(len(prepared), length, clips)
        last = len(prepared) - 1  # a short one is held
        return np.stack(
            [np.stack([prepared[min(s + t, last)] for t in range(length)]) for s in starts]
        )

    def _read_uniform(self, footage: Footage, clips: int, crops: int) -> Frames:
        """Clips of one frame from each part, ``(clips, T, crops, h, w, 3)``."""
        times = np.stack(spread_uniform(self._num_frames, footage.duration_s(), clips))
        order = np.argsort(times, axis=None, kind="stable")
        prepared: dict[int, Frames] = {}
        for position, frame in zip(
            order, footage.frames_at(times.ravel()[order].tolist()), strict=True
        ):
            prepared[int(position)] = self._crops(frame, crops)
        flat = np.stack([prepared[position] for position in range(times.size)])
        return flat.reshape(clips, self._num_frames, *flat.shape[1:])

    def _crops(self, frame: Frames, crops: int) -> Frames:
        places = [0.5] if crops == 1 else np.linspace(0, 1, crops).tolist()
        return np.stack([preprocess_frame(frame, self._spec, place=place) for place in places])

    def _prepare(self, frame: Frames) -> Frames:
        return preprocess_frame(frame, self._spec)


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
