"""The core of labelling: prepared frames in, decisions out, no files and no threads.

Notation: M is the model's window in frames, H W its input in pixels.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.errors import InputError
from effvit_edge.live.decision import Candidate, Decision, Latency, Scores
from effvit_edge.live.intake import Pixels, Prepared
from effvit_edge.runtime import Logits, Session

_CLIP_HOPS = 4  # a clip model answers this often while its window passes by


class Labeller:
    """Feeds the frames of one source to a model, which other sources may share.

    A stream model sees every frame; a clip model the last M of them, the first one standing in
    for those that have not come yet.

    Args:
        session: the model.
        topk: how many candidates a decision lists.
        stride: decide on every so many frames. By default every one for a stream model, and every
            M/4 for a clip model, which pays for a whole clip each time.
        clock: measures the latencies.

    Raises:
        InputError: ``topk`` or ``stride`` is not positive.
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
        card = session.card
        self._session = session
        self._labels = card.labels
        self._topk = min(topk, len(self._labels))
        hop = max(1, card.num_frames // _CLIP_HOPS) if card.mode == "clip" else 1
        self._stride = stride or hop
        self._clock = clock or MonotonicClock()
        self._window: deque[Pixels] = deque(maxlen=card.num_frames)
        self._stretch: int | None = None
        self._seen = 0

    def feed(self, prepared: Prepared, source: str, dropped: int = 0) -> Decision | None:
        """Show one frame of the source; frames come in order.

        Args:
            prepared: the next frame. Where its stretch is another than the last one's, everything
                seen before is forgotten.
            source: the name to put in the decision.
            dropped: frames of the source lost so far.

        Returns:
            A decision about this frame, or None where none is due.
        """
        if prepared.stretch != self._stretch:
            self._reset()
            self._stretch = prepared.stretch
        due = self._seen % self._stride == 0
        started = self._clock.now()
        logits = self._infer(prepared.pixels, due)
        inferred = self._clock.now()
        self._seen += 1
        if not due:
            return None
        scores = self._scores(logits)
        best = self._best(scores)
        ended = self._clock.now()
        latency = Latency(
            decode=prepared.decode_ms,
            preprocess=prepared.preprocess_ms,
            infer=(inferred - started) * 1000,
            post=(ended - inferred) * 1000,
            total=prepared.grab_ms + (ended - prepared.arrival_seconds) * 1000,
        )
        window = self._session.card.num_frames
        fill = min(self._seen, window) / window
        return Decision(
            source, prepared.index, prepared.pts_seconds, best, fill, latency, dropped, scores
        )

    def _reset(self) -> None:
        self._window.clear()
        self._seen = 0
        if self._session.card.mode == "stream":
            self._state = self._session.init_state()

    def _infer(self, pixels: Pixels, due: bool) -> Logits:
        """Logits for the newest frame; of a clip model only when they are asked for."""
        if self._session.card.mode == "stream":
            logits, self._state = self._session.step(pixels, self._state)
            return logits
        if not self._window:
            self._window.extend([pixels] * self._session.card.num_frames)
        self._window.append(pixels)
        return self._session.run(np.stack(self._window)) if due else np.empty(0, np.float32)

    def _scores(self, logits: Logits) -> Scores:
        """A softmax where exactly one label is right, sigmoids where any number is."""
        scores: Scores = logits[: len(self._labels)].astype(np.float64)
        if self._session.card.label_groups[0].exclusive:
            scores = np.exp(scores - scores.max())
            scores /= scores.sum()
        else:
            scores = 0.5 * (1 + np.tanh(0.5 * scores))  # the sigmoid, without overflow
        return scores

    def _best(self, scores: Scores) -> tuple[Candidate, ...]:
        order = np.argsort(-scores, kind="stable")[: self._topk]
        return tuple(Candidate(self._labels[i], float(scores[i])) for i in order)
