"""Where a session keeps the states of streams, so that a step copies none of them.

A state lies in a slot. Slots ``2n`` and ``2n + 1`` are a pair: a step reads one and writes the
other, to and fro. Every stream that is followed has a pair of its own.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from effvit_edge.core.errors import EdgeError, InputError
from effvit_edge.runtime.base import State
from effvit_edge.runtime.graph import TensorSpec

Array = npt.NDArray[Any]
MAX_PAIRS = 16
"""Streams whose states stay in place; with more of them in turn, states are copied to and fro."""


class SlotStore(Protocol):
    """The memory of slots, on whatever device."""

    def add_pair(self) -> None:
        """Take memory for two more slots.

        Raises:
            EdgeError: there is no room.
        """

    def write(self, slot: int, parts: Sequence[Array]) -> None:
        """Put a state into a slot, in the order of the states."""

    def read(self, slot: int) -> dict[str, Array]:
        """A slot's state as new arrays of the host, by name.

        Raises:
            EdgeError: the device failed.
        """


class SlotState(Mapping[str, Array]):
    """A state that lies in one of the session's slots, until the slot is needed again.

    It reads as arrays of the host. What is still held when its slot is to be written is copied to
    the host first, so an old state can be stepped from again; a stream that holds only its newest
    one never pays for that.
    """

    def __init__(self, names: tuple[str, ...], slot: int, fetch: Callable[[int], dict[str, Array]]):
        self._names = names
        self._fetch = fetch
        self._slot = slot
        self._kept: dict[str, Array] | None = None

    def keep(self) -> None:
        """Copy it to the host, before the slot is written anew."""
        self._kept = self._read()

    def __getitem__(self, name: str) -> Array:
        if name not in self._names:
            raise KeyError(name)
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _read(self) -> dict[str, Array]:
        return self._fetch(self._slot) if self._kept is None else self._kept


class StateSlots:
    """Knows which state lies in which slot, and makes room.

    Args:
        specs: the parts of a state, of fixed shapes.
        store: the slots' memory; it has none yet.
        max_pairs: how many pairs to take at most.
    """

    def __init__(
        self, specs: Sequence[TensorSpec], store: SlotStore, max_pairs: int = MAX_PAIRS
    ) -> None:
        self._specs = tuple(specs)
        self._names = tuple(spec.name for spec in specs)
        self._store = store
        self._max_pairs = max_pairs
        self._holders: list[weakref.ref[SlotState] | None] = []
        self._clock = count()
        self._last_used: list[int] = []
        self._closed = False

    def init_state(self) -> dict[str, Array]:
        """Zeros, on the host."""
        return {spec.name: np.zeros(spec.sizes, spec.dtype) for spec in self._specs}

    def add_pair(self) -> None:
        """Take memory for one more stream.

        Raises:
            EdgeError: there is no room.
        """
        self._store.add_pair()
        self._holders += [None, None]
        self._last_used.append(next(self._clock))

    def place(self, state: State) -> int:
        """The slot in which a state lies, after bringing it there if it lies in none.

        Raises:
            InputError: it is not a state of this model.
            EdgeError: the device has no room or failed.
        """
        slot = self._find(state)
        if slot is None:
            parts = [_checked(spec, state[spec.name]) for spec in self._specs]
            slot = 2 * self._free_pair()
            self._vacate(slot)
            self._store.write(slot, parts)
        self._last_used[slot // 2] = next(self._clock)
        return slot

    def make_room(self, source: int) -> None:
        """Make the slot free that a step from ``source`` writes."""
        self._vacate(partner(source))

    def hold(self, slot: int) -> SlotState:
        """The state that a step has written into a slot."""
        state = SlotState(self._names, slot, self._fetch)
        self._holders[slot] = weakref.ref(state)
        return state

    def close(self) -> None:
        """Copy what is still held to the host; what a failed device does not give is lost."""
        for slot in range(len(self._holders)):
            with contextlib.suppress(EdgeError):
                self._vacate(slot)
        self._closed = True

    def _find(self, state: State) -> int | None:
        for slot, holder in enumerate(self._holders):
            if holder is not None and holder() is state:
                return slot
        return None

    def _free_pair(self) -> int:
        """A pair that nobody holds a state of: an old one, a new one, or the longest unused."""
        pairs = range(len(self._last_used))
        for pair in pairs:
            if self._held(2 * pair) is None and self._held(2 * pair + 1) is None:
                return pair
        if len(pairs) < self._max_pairs:
            try:
                self.add_pair()
            except EdgeError:
                if not pairs:
                    raise
                self._max_pairs = len(pairs)  # the device has no room for more
            else:
                return len(pairs)
        oldest = min(pairs, key=lambda pair: self._last_used[pair])
        self._vacate(2 * oldest + 1)
        return oldest

    def _held(self, slot: int) -> SlotState | None:
        holder = self._holders[slot]
        return None if holder is None else holder()

    def _vacate(self, slot: int) -> None:
        state = self._held(slot)
        if state is not None:
            state.keep()
        self._holders[slot] = None

    def _fetch(self, slot: int) -> dict[str, Array]:
        if self._closed:
            raise EdgeError("This state was lost when its session was closed: the device failed.")
        return self._store.read(slot)


def partner(slot: int) -> int:
    """The other slot of a pair."""
    return slot ^ 1


def _checked(spec: TensorSpec, part: Any) -> Array:
    array = np.ascontiguousarray(part)
    if array.shape != spec.shape or array.dtype.name != spec.dtype:
        raise InputError(
            f"The state's {spec.name} is {array.dtype.name} {list(array.shape)}, this model's "
            f"is {spec}. Take it from init_state() or from the last step()."
        )
    return array
