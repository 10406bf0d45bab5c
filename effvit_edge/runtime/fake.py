"""A session without a model: its answers are a function of its inputs that the test chooses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import InputError
from effvit_edge.runtime.base import CheckedSession, Image, Logits, State

_FRAMES = "state_frames"


class FakeSession(CheckedSession):
    """Passes the contract tests of the real sessions, and needs nothing installed.

    Args:
        card: what the pretended model is.
        answer: from frames to logits. A clip model gives it the clip ``(T, H, W, 3)``, a stream
            model the last ``card.num_frames`` frames seen, ``(1..M, H, W, 3)``.
    """

    def __init__(self, card: ModelCard, answer: Callable[[Image], Logits]) -> None:
        names = frozenset({_FRAMES} if card.mode == "stream" else ())
        super().__init__(card, "fake session, no model", names)
        self._answer = answer

    def _run(self, clip: Image) -> Logits:
        return self._logits(clip)

    def _init_state(self) -> State:
        spec = self._card.preprocess
        return {_FRAMES: np.zeros((0, spec.height, spec.width, 3), np.uint8)}

    def _step(self, frame: Image, state: State) -> tuple[Logits, State]:
        before = np.asarray(state[_FRAMES])
        if before.shape[1:] != frame.shape or before.dtype != np.uint8:
            raise InputError(
                f"The state's {_FRAMES} is {before.dtype.name} {list(before.shape)}, this model's "
                f"is uint8 {['seen', *frame.shape]}. Take it from init_state() or the last step()."
            )
        frames = np.concatenate([before, frame[None]])[-self._card.num_frames :]
        return self._logits(frames), {_FRAMES: frames}

    def _logits(self, frames: Image) -> Logits:
        return np.array(self._answer(frames), dtype=np.float32).reshape(self._card.num_classes)
