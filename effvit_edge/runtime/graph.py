"""Whether a graph keeps the contract of an exported model, whatever library runs it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import InputError

CARD_KEY = "effvit_edge.card"
NEXT_PREFIX = "next_"
_STATE_PREFIX = "state_"


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a graph."""

    name: str
    dtype: str
    """A numpy name, for example ``float32``."""
    shape: tuple[int | str | None, ...]
    """Sizes; a name or None where the graph leaves one open."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape of one whose sizes are all fixed, as a session's are."""
        return tuple(size for size in self.shape if isinstance(size, int))

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return math.prod(self.sizes) * np.dtype(self.dtype).itemsize

    def __str__(self) -> str:
        """For messages: name, type and shape."""
        return f"{self.name} {self.dtype} {list(self.shape)}"


def check_graph(
    card: ModelCard, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], where: str
) -> tuple[TensorSpec, ...]:
    """Refuse a graph that does not do what its card says.

    Returns:
        The states of a stream model in the graph's order, empty for a clip model.

    Raises:
        InputError: a name, type or shape differs from what the card asks for.
    """
    spec = card.preprocess
    frame_shape = (spec.height, spec.width, 3)
    if card.mode == "clip":
        image = TensorSpec("frames", "uint8", (card.num_frames, *frame_shape))
        states: tuple[TensorSpec, ...] = ()
    else:
        image = TensorSpec("frame", "uint8", frame_shape)
        states = tuple(tensor for tensor in inputs if tensor.name.startswith(_STATE_PREFIX))
    logits = TensorSpec("logits", "float32", (card.num_classes,))
    _refuse_batch(image, inputs, where)
    next_states = [TensorSpec(NEXT_PREFIX + s.name, s.dtype, s.shape) for s in states]
    _check_same([image, *states], inputs, "input", where)
    _check_same([logits, *next_states], outputs, "output", where)
    _check_static(states, where)
    return states


def find_tensor(tensors: Sequence[TensorSpec], name: str) -> TensorSpec:
    """The one of that name, which ``check_graph`` has seen."""
    return next(tensor for tensor in tensors if tensor.name == name)


def _refuse_batch(image: TensorSpec, inputs: Sequence[TensorSpec], where: str) -> None:
    """An export for several streams at once is whole, but not what a session runs."""
    for tensor in inputs:
        if tensor.name == image.name and tensor.shape[1:] == image.shape:
            raise InputError(
                f"{where} was exported with --batch, for {tensor.shape[0]} streams at once, and "
                "a session takes one. Export it again without --batch: several sources go through "
                "one session in turn, each with a state of its own."
            )


def _check_same(
    expected: Sequence[TensorSpec], found: Sequence[TensorSpec], kind: str, where: str
) -> None:
    by_name = {tensor.name: tensor for tensor in found}
    wanted = {tensor.name for tensor in expected}
    for tensor in expected:
        got = by_name.get(tensor.name)
        if got != tensor:
            raise _mismatch(where, f"{kind} {tensor}", got or "nothing of that name")
    for name in by_name.keys() - wanted:
        raise _mismatch(where, f"no {kind} '{name}'", by_name[name])


def _check_static(states: Sequence[TensorSpec], where: str) -> None:
    for state in states:
        if not all(isinstance(size, int) and size > 0 for size in state.shape):
            raise _mismatch(where, "states of fixed shape", state)


def _mismatch(where: str, expected: str, got: object) -> InputError:
    return InputError(
        f"The graph in {where} does not fit its model card: expected {expected}, got {got}. "
        "Export the checkpoint again with: effvit-edge export."
    )
