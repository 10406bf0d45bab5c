"""Real videos as training clips and evaluation sequences, decoded once where memory allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt

from effvit_edge.core.card import LabelGroup, Preprocess
from effvit_edge.core.errors import InputError
from effvit_edge.core.preprocess import preprocess_frame, resize_frame
from effvit_edge.data.augment import draw_augmentation
from effvit_edge.data.decode import read_frames
from effvit_edge.data.listing import Video, VideoList
from effvit_edge.data.progress import track
from effvit_edge.data.types import Frames, LabelledSequence, Targets

_ROOM = 1.43
"""Training frames are kept this much larger than the input, so that crops stay sharp."""
_NAMED_FAILURES = 5
_SUBSTITUTES = 20

Shrink = Callable[[Frames], Frames]


@dataclass(frozen=True)
class Augmentation:
    """Ranges that a clip's augmentation is drawn from; see the recipe's ``data`` section."""

    scale: tuple[float, float] = (1.0, 1.0)
    aspect: tuple[float, float] = (1.0, 1.0)
    flip: float = 0.0
    color: float = 0.0
    speed: tuple[float, float] = (1.0, 1.0)


class DecodedVideos:
    """The videos that can be decoded, held in memory as far as a budget goes.

    Videos are decoded when this is made until one exceeds the budget; that one and those after it
    are decoded whenever they are asked for.

    Args:
        videos: what to decode.
        fps: rate of the frames kept.
        shrink: applied to every frame before it is kept.
        budget_bytes: of the frames kept.
        description: for the progress bar.

    Raises:
        InputError: no video at all can be decoded.
    """

    def __init__(
        self,
        videos: Sequence[Video],
        *,
        fps: float,
        shrink: Shrink,
        budget_bytes: int,
        description: str,
    ) -> None:
        self.fps = fps
        self.shrink = shrink
        self.videos: list[Video] = []
        self.failures: list[str] = []
        self._kept: list[Frames | None] = []
        self.kept_bytes = 0
        room = budget_bytes > 0
        for video in track(videos, len(videos), description):
            frames: Frames | None = None
            if room:
                try:
                    frames = self._decode(video)
                except InputError as error:
                    self.failures.append(str(error))
                    continue
                room = self.kept_bytes + frames.nbytes <= budget_bytes
                if room:
                    self.kept_bytes += frames.nbytes
                else:
                    frames = None
            self.videos.append(video)
            self._kept.append(frames)
        if not self.videos:
            raise InputError(
                f"None of {len(videos)} videos can be decoded. First: {self.failures[0]}"
            )

    def frames(self, index: int) -> Frames:
        """``(T, H, W, 3)`` uint8 frames of one video.

        Raises:
            InputError: a video outside the budget that cannot be decoded.
        """
        kept = self._kept[index]
        return self._decode(self.videos[index]) if kept is None else kept

    def _decode(self, video: Video) -> Frames:
        frames = [self.shrink(frame) for frame in read_frames(video.path, self.fps)]
        # A stream may change its size on the way; what follows is brought to the first size.
        height, width = frames[0].shape[:2]
        return np.stack(
            [f if f.shape == frames[0].shape else resize_frame(f, height, width) for f in frames]
        )


class VideoClips:
    """Endless augmented training clips of real videos: each pass takes every video once.

    Args:
        videos: labelled files.
        spec: the model's input.
        fps: rate of the frames, per second.
        frames: frames a clip; a shorter video is held at its last frame.
        seed: of the order and of every clip.
        augmentation: what clips may become.
        cache_bytes: budget of decoded frames in memory.
    """

    def __init__(
        self,
        videos: VideoList,
        spec: Preprocess,
        *,
        fps: float,
        frames: int,
        seed: int,
        augmentation: Augmentation,
        cache_bytes: int,
    ) -> None:
        self.labels = videos.labels
        self.groups: tuple[LabelGroup, ...] = (LabelGroup("label", videos.labels),)
        self.spec = spec
        self.num_frames = frames
        self.seed = seed
        self.augmentation = augmentation
        short_side = round(_ROOM * max(spec.height, spec.width))
        self.source = DecodedVideos(
            videos.videos,
            fps=fps,
            shrink=partial(shrink_short_side, short_side=short_side),
            budget_bytes=cache_bytes,
            description="decode training videos",
        )
        self.failures = self.source.failures
        self.epoch_clips: int | None = len(self.source.videos)

    def __getitem__(self, number: int) -> tuple[Frames, Targets]:
        rng = np.random.default_rng((self.seed, 1, number))
        index, frames = self._frames(number)
        times = self._times(rng, len(frames))
        chosen = self.augmentation
        draw = draw_augmentation(
            rng,
            (frames.shape[1], frames.shape[2]),
            self.spec,
            scale=chosen.scale,
            aspect=chosen.aspect,
            flip=chosen.flip,
            color=chosen.color,
        )
        clip = np.stack([draw.apply(frames[t], self.spec) for t in times])
        label = self.source.videos[index].label
        return clip, np.full((self.num_frames, 1), label, dtype=np.int64)

    def name(self, number: int) -> str:
        """The file of a clip, unless it turns out that it cannot be decoded."""
        count = len(self.source.videos)
        index = int(_pass_order(self.seed, number // count, count)[number % count])
        return str(self.source.videos[index].path)

    def _frames(self, number: int) -> tuple[int, Frames]:
        """The video of a clip; where it cannot be decoded, the next of the same class."""
        count = len(self.source.videos)
        index = int(_pass_order(self.seed, number // count, count)[number % count])
        label = self.source.videos[index].label
        same = [i % count for i in range(index, index + count)]
        same = [i for i in same if self.source.videos[i].label == label][:_SUBSTITUTES]
        problem: InputError | None = None
        for candidate in same:
            try:
                return candidate, self.source.frames(candidate)
            except InputError as error:
                problem = problem or error
                if str(error) not in self.failures:
                    self.failures.append(str(error))
        raise InputError(
            f"{len(same)} videos in a row of class '{self.labels[label]}' cannot be decoded. "
            f"First: {problem}"
        )

    def _times(self, rng: np.random.Generator, count: int) -> list[int]:
        """Frame numbers of a clip: a random start, at a random speed, held at the last frame."""
        speed = rng.uniform(*self.augmentation.speed)
        steps = np.floor(np.arange(self.num_frames) * speed).astype(int)
        start = int(rng.integers(max(0, count - 1 - int(steps[-1])) + 1))
        times: list[int] = np.minimum(start + steps, count - 1).tolist()
        return times


class VideoSequences:
    """Whole videos for evaluation, prepared exactly as they are on the device.

    Args:
        videos: labelled files.
        spec: the model's input.
        fps: rate of the frames, per second.
        cache_bytes: budget of prepared frames in memory.
    """

    def __init__(
        self, videos: VideoList, spec: Preprocess, *, fps: float, cache_bytes: int
    ) -> None:
        self.groups: tuple[LabelGroup, ...] = (LabelGroup("label", videos.labels),)
        self.source = DecodedVideos(
            videos.videos,
            fps=fps,
            shrink=partial(preprocess_frame, spec=spec),
            budget_bytes=cache_bytes,
            description="decode evaluation videos",
        )
        self.failures = self.source.failures

    def __len__(self) -> int:
        return len(self.source.videos)

    def __getitem__(self, index: int) -> LabelledSequence | None:
        video = self.source.videos[index]
        try:
            frames = self.source.frames(index)
        except InputError as error:
            if str(error) not in self.failures:
                self.failures.append(str(error))
            return None
        targets = np.full((len(frames), 1), video.label, dtype=np.int64)
        return LabelledSequence(str(video.path), frames, targets)


def shrink_short_side(frame: Frames, *, short_side: int) -> Frames:
    """Scale a frame down until its short side is ``short_side`` pixels; never up."""
    height, width = frame.shape[:2]
    ratio = short_side / min(height, width)
    if ratio >= 1:
        return frame
    return resize_frame(frame, max(1, round(height * ratio)), max(1, round(width * ratio)))


def describe_failures(failures: Sequence[str]) -> str:
    """How many videos were left out, and the first of them; empty when none was."""
    if not failures:
        return ""
    shown = " ".join(failures[:_NAMED_FAILURES])
    more = len(failures) - _NAMED_FAILURES
    return f"{len(failures)} videos left out. {shown}" + (f" And {more} more." if more > 0 else "")


@lru_cache(maxsize=4)
def _pass_order(seed: int, epoch: int, count: int) -> npt.NDArray[np.int64]:
    """The order of one pass over the data."""
    return np.random.default_rng((seed, 2, epoch)).permutation(count)
