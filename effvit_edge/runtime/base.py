"""The one protocol that every session follows, and the checks that all of them make.

Notation: H W are the model's input in pixels, T its frames; frames are uint8 RGB.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from effvit_edge.core.card import Mode, ModelCard
from effvit_edge.core.closing import Closing
from effvit_edge.core.errors import EdgeError, InputError
from effvit_edge.runtime.tuning import Switches, Telemetry, Untold

if TYPE_CHECKING:
    from typing_extensions import Self

Logits: TypeAlias = npt.NDArray[np.float32]
Image: TypeAlias = npt.NDArray[np.uint8]
State: TypeAlias = Mapping[str, Any]
"""What a stream model remembers. Opaque: take it from ``init_state`` or ``step``, give it back."""


class Session(Protocol):
    """A model that is loaded and ready. Close it, or use it as a context manager.

    Sessions never change what they are given, and what they return belongs to the caller.
    """

    @property
    def card(self) -> ModelCard:
        """What the model is, eats and answers."""
        ...

    @property
    def provider_report(self) -> str:
        """What runs the model, and why nothing faster does where that was tried."""
        ...

    @property
    def telemetry(self) -> Telemetry:
        """How it runs, and where its time goes."""
        ...

    def run(self, clip: Image) -> Logits:
        """Answer for a whole clip: ``(T, H, W, 3)`` uint8 RGB to ``(num_classes,)`` float32.

        Raises:
            InputError: the card's mode is not ``clip``, or the clip's shape or type is wrong.
            EdgeError: the session is closed, or running failed.
        """
        ...

    def init_state(self) -> State:
        """The state of a stream that has seen nothing.

        Raises:
            InputError: the card's mode is not ``stream``.
            EdgeError: the session is closed.
        """
        ...

    def step(self, frame: Image, state: State) -> tuple[Logits, State]:
        """Answer for one more frame: ``(H, W, 3)`` uint8 RGB to ``(num_classes,)`` float32.

        Raises:
            InputError: the card's mode is not ``stream``, the frame's shape or type is wrong, or
                the state is not one of this model's.
            EdgeError: the session is closed, or running failed.
        """
        ...

    def close(self) -> None:
        """Give back what the session holds. Closing twice is allowed, using it after is not."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class CheckedSession(Closing):
    """What every session checks before it works, so that all refuse the same things.

    Args:
        card: what the model is, eats and answers.
        provider_report: what runs it, and why nothing faster does.
        state_names: the parts of a stream's state; empty for a clip model.
    """

    def __init__(self, card: ModelCard, provider_report: str, state_names: frozenset[str]) -> None:
        self._card = card
        self._provider_report = provider_report
        self._state_names = state_names
        self._closed = False

    @property
    def card(self) -> ModelCard:
        """What the model is, eats and answers."""
        return self._card

    @property
    def provider_report(self) -> str:
        """What runs the model, and why nothing faster does where that was tried."""
        return self._provider_report

    @property
    def telemetry(self) -> Telemetry:
        """See ``Session.telemetry``; nothing, where a session does not tell."""
        return Untold(Switches("no", "nothing to wait for", "none"))

    def run(self, clip: Image) -> Logits:
        """See ``Session.run``."""
        self._check_usable("clip")
        spec = self._card.preprocess
        _check_image(clip, (self._card.num_frames, spec.height, spec.width, 3), "A clip")
        return self._run(clip)

    def init_state(self) -> State:
        """See ``Session.init_state``."""
        self._check_usable("stream")
        return self._init_state()

    def step(self, frame: Image, state: State) -> tuple[Logits, State]:
        """See ``Session.step``."""
        self._check_usable("stream")
        spec = self._card.preprocess
        _check_image(frame, (spec.height, spec.width, 3), "A frame")
        if state.keys() != self._state_names:
            raise InputError(
                f"The state has the parts {sorted(state)}, this model's are "
                f"{sorted(self._state_names)}. Take it from init_state() or from the last step()."
            )
        return self._step(frame, state)

    def close(self) -> None:
        """See ``Session.close``."""
        self._closed = True

    def _check_usable(self, mode: Mode) -> None:
        if self._closed:
            raise EdgeError("This session is closed. Open it again with open_session.")
        if self._card.mode != mode:
            call = "step(frame, state)" if self._card.mode == "stream" else "run(clip)"
            raise InputError(
                f"{self._card.variant} is a {self._card.mode} model: call {call} instead."
            )

    @abstractmethod
    def _run(self, clip: Image) -> Logits: ...

    @abstractmethod
    def _init_state(self) -> State: ...

    @abstractmethod
    def _step(self, frame: Image, state: State) -> tuple[Logits, State]: ...


def _check_image(image: Image, shape: tuple[int, ...], what: str) -> None:
    if image.shape != shape or image.dtype != np.uint8:
        raise InputError(
            f"{what} for this model must be {shape} uint8 RGB, got {image.shape} {image.dtype}. "
            "Use core.preprocess.preprocess_frame with the card's preprocessing."
        )
