"""The session over anything that runs a model on a device and keeps states there.

Notation: H W are the model's input in pixels, T its frames; frames are uint8 RGB.
"""

from __future__ import annotations

from typing import Protocol

from effvit_edge.core.card import ModelCard
from effvit_edge.runtime.base import CheckedSession, Image, Logits, State
from effvit_edge.runtime.graph import TensorSpec
from effvit_edge.runtime.slots import MAX_PAIRS, SlotStore, StateSlots, partner
from effvit_edge.runtime.tuning import Telemetry


class Executor(SlotStore, Telemetry, Protocol):
    """A model on a device, with the slots of its streams' states.

    It is called by one thread at a time, not always by the same.
    """

    states: tuple[TensorSpec, ...]
    """The parts of a stream's state; empty for a clip model."""

    @property
    def report(self) -> str:
        """What runs the model, and why nothing faster does where that was tried."""

    def infer(self, image: Image, slot: int) -> Logits:
        """Answer for a frame ``(H, W, 3)`` or a clip ``(T, H, W, 3)``; the caller's own array.

        Args:
            image: of the shape and type that the model takes, contiguous or not.
            slot: where the state lies; the next one is written to its partner. 0 for a clip.

        Raises:
            EdgeError: running failed.
        """

    def close(self) -> None:
        """Give back all memory. Closing twice is allowed."""


class DeviceSession(CheckedSession):
    """A model that an executor runs. Takes it over and closes it.

    Args:
        card: what the model is, eats and answers.
        executor: runs it.
        max_pairs: of slots, see ``StateSlots``.

    Raises:
        EdgeError: the device has no room for the first stream's state.
    """

    def __init__(self, card: ModelCard, executor: Executor, max_pairs: int = MAX_PAIRS) -> None:
        names = frozenset(state.name for state in executor.states)
        super().__init__(card, executor.report, names)
        self._executor = executor
        self._slots = StateSlots(executor.states, executor, max_pairs)
        if card.mode == "stream":
            try:
                self._slots.add_pair()
            except BaseException:
                executor.close()
                raise

    @property
    def provider_report(self) -> str:
        """See ``Session.provider_report``."""
        return self._executor.report

    @property
    def telemetry(self) -> Telemetry:
        """See ``Session.telemetry``."""
        return self._executor

    def close(self) -> None:
        """See ``Session.close``; states that are still held stay readable."""
        if not self._closed:
            self._slots.close()
        super().close()
        self._executor.close()

    def _run(self, clip: Image) -> Logits:
        return self._executor.infer(clip, 0)

    def _init_state(self) -> State:
        return self._slots.init_state()

    def _step(self, frame: Image, state: State) -> tuple[Logits, State]:
        source = self._slots.place(state)
        self._slots.make_room(source)
        logits = self._executor.infer(frame, source)
        return logits, self._slots.hold(partner(source))
