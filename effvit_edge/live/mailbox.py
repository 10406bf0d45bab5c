"""A bounded queue from one thread to another that accounts for everything put into it."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True)
class Ledger:
    """Where the items of a mailbox went; ``produced == done + dropped + pending``, always."""

    produced: int = 0
    done: int = 0
    dropped: int = 0

    @property
    def pending(self) -> int:
        """Waiting, or in the hands of whoever took them."""
        return self.produced - self.done - self.dropped


class Mailbox(Generic[_T]):
    """One producer puts, one consumer takes; everything happens under one lock.

    A full mailbox either lets its producer wait, and loses nothing, or drops the oldest item, so
    that the newest are kept.

    Args:
        capacity: how many items may wait.
        keep_newest: drop the oldest item instead of waiting.
        bell: set whenever there is something new to see, for a consumer of several mailboxes.
    """

    def __init__(
        self, capacity: int, keep_newest: bool = False, bell: threading.Event | None = None
    ) -> None:
        if capacity < 1:
            raise ValueError(f"a mailbox must hold at least 1 item, got {capacity}")
        self._capacity = capacity
        self._keep_newest = keep_newest
        self._bell = bell
        self._changed = threading.Condition()
        self._items: deque[_T] = deque()
        self._produced = self._done = self._dropped = self._in_hand = 0
        self._finished = False

    def put(self, item: _T) -> bool:
        """Add an item, and wait for room where that is the policy.

        Returns:
            Whether it was taken in; a finished mailbox takes none, and counts none.
        """
        with self._changed:
            if not self._keep_newest:
                self._changed.wait_for(self._has_room_or_end)
            if self._finished:
                return False
            if len(self._items) == self._capacity:
                self._items.popleft()
                self._dropped += 1
            self._items.append(item)
            self._produced += 1
            self._tell()
        return True

    def poll(self) -> _T | None:
        """The oldest item, or None where there is none now; say what became of it afterwards."""
        with self._changed:
            return self._take()

    def take(self) -> _T | None:
        """The oldest item, waited for; None when there will be none any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._finished)
            return self._take()

    def done(self) -> None:
        """The item that was taken has been dealt with."""
        with self._changed:
            self._put_down()
            self._done += 1

    def lost(self) -> None:
        """The item that was taken could not be dealt with."""
        with self._changed:
            self._put_down()
            self._dropped += 1

    def finish(self) -> None:
        """No more will come: what waits can still be taken. Finishing twice is allowed."""
        with self._changed:
            self._finished = True
            self._tell()

    def abandon(self) -> None:
        """No more will come, and what waits is dropped; an item in hand is its taker's affair."""
        with self._changed:
            self._finished = True
            self._dropped += len(self._items)
            self._items.clear()
            self._tell()

    @property
    def ledger(self) -> Ledger:
        """Where the items went, at this moment."""
        with self._changed:
            return Ledger(self._produced, self._done, self._dropped)

    @property
    def exhausted(self) -> bool:
        """Whether there will be nothing more to take."""
        with self._changed:
            return self._finished and not self._items

    def _has_room_or_end(self) -> bool:
        return self._finished or len(self._items) < self._capacity

    def _take(self) -> _T | None:
        if not self._items:
            return None
        self._in_hand += 1
        item = self._items.popleft()
        self._changed.notify_all()
        return item

    def _put_down(self) -> None:
        if not self._in_hand:
            raise RuntimeError("no item of this mailbox is in hand")
        self._in_hand -= 1

    def _tell(self) -> None:
        self._changed.notify_all()
        if self._bell:
            self._bell.set()
