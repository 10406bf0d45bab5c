"""The core of labelling: frames in, decisions out, no files and no threads.

Notation: M is the model's window in frames, H W its input in pixels.
"""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.errors import InputError
from effvit_edge.core.optional import require
from effvit_edge.core.preprocess import preprocess_frame
from effvit_edge.core.sampling import RateSampler
from effvit_edge.live.decision import Candidate, Decision, Latency
from effvit_edge.runtime import Logits, Session
from effvit_edge.sources import Frame

_CLIP_HOPS = 4  # a clip model answers this often while its window passes by
_Input: TypeAlias = npt.NDArray[np.uint8]


class Labeller:
    """Feeds one source at a time to a model, at the model's rate.

    A stream model sees every sampled frame; a clip model the last M of them, the first one
    standing in for those that have not come yet.

    Args:
        session: the model.
        topk: how many candidates a decision lists.
        stride: decide on every so many sampled frames. By default every one for a stream model,
            and every M/4 for a clip model, which pays for a whole clip each time.
        clock: measures the latencies.

    Raises:
        InputError: ``topk`` or ``stride`` is not positive.
        EnvironmentFault: OpenCV is not installed.
    """

    def __init__(
        self,
        session: Session,
        topk: int = 3,
        stride: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        if topk < 1:
            raise InputError(f"The number of candidates must be at least 1, got {topk}.")
        if stride is not None and stride < 1:
            raise InputError(f"The stride must be at least 1, got {stride}.")
        require("cv2", "video")  # preprocessing needs it: say so now, not at the first frame
        card = session.card
        self.session = session
        self._labels = card.labels
        self.topk = min(topk, len(self._labels))
        hop = max(1, card.num_frames // _CLIP_HOPS) if card.mode == "clip" else 1
        self._stride = stride or hop
        self._clock = clock or MonotonicClock()
        self._sampler = RateSampler(card.fps)
        self._window: deque[_Input] = deque(maxlen=card.num_frames)
        self.size_changes = 0
        """How often a picture's size has changed within a source, and the window started anew."""
        self.reset()

    def reset(self) -> None:
        """Forget everything seen: the next frame is the first of a new source."""
        self._sampler.reset()
        self._window.clear()
        self._seen = 0
        self._size: tuple[int, ...] | None = None
        if self.session.card.mode == "stream":
            self._state = self.session.init_state()

    def feed(self, frame: Frame, source: str, dropped: int = 0) -> Decision | None:
        """Show one frame of a source; frames come in order.

        Args:
            frame: the next frame. Its picture is looked at only when the model needs it.
            source: the name to put in the decision.
            dropped: frames of the source lost so far.

        Returns:
            A decision about this frame, or None where none is due.
        """
        if not self._sampler.take(frame.pts_seconds):
            return None
        if self._size not in (None, frame.image.shape):
            self.reset()
            self.size_changes += 1
            self._sampler.take(frame.pts_seconds)
        self._size = frame.image.shape
        due = self._seen % self._stride == 0
        started = self._clock.now()
        pixels = preprocess_frame(frame.image, self.session.card.preprocess)
        preprocessed = self._clock.now()
        logits = self._infer(pixels, due)
        inferred = self._clock.now()
        self._seen += 1
        if not due:
            return None
        best = self._best(logits)
        ended = self._clock.now()
        latency = Latency(
            decode=frame.decode_ms,
            preprocess=(preprocessed - started) * 1000,
            infer=(inferred - preprocessed) * 1000,
            post=(ended - inferred) * 1000,
            total=frame.grab_ms + (ended - frame.arrival_seconds) * 1000,
        )
        fill = min(self._seen, self.session.card.num_frames) / self.session.card.num_frames
        return Decision(source, frame.index, frame.pts_seconds, best, fill, latency, dropped)

    def _infer(self, pixels: _Input, due: bool) -> Logits:
        """Logits for the newest frame; of a clip model only when they are asked for."""
        if self.session.card.mode == "stream":
            logits, self._state = self.session.step(pixels, self._state)
            return logits
        if not self._window:
            self._window.extend([pixels] * self.session.card.num_frames)
        self._window.append(pixels)
        return self.session.run(np.stack(self._window)) if due else np.empty(0, np.float32)

    def _best(self, logits: Logits) -> tuple[Candidate, ...]:
        """The most probable labels of the card's first group, best first.

        Scores are a softmax where exactly one label is right, and sigmoids where any number is.
        """
        scores = logits[: len(self._labels)].astype(np.float64)
        if self.session.card.label_groups[0].exclusive:
            scores = np.exp(scores - scores.max())
            scores /= scores.sum()
        else:
            scores = 0.5 * (1 + np.tanh(0.5 * scores))  # the sigmoid, without overflow
        order = np.argsort(-scores, kind="stable")[: self.topk]
        return tuple(Candidate(self._labels[i], float(scores[i])) for i in order)
