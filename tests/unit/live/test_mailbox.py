from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from effvit_edge.live.mailbox import Ledger, Mailbox


class MailboxMachine(RuleBasedStateMachine):
    """A mailbox beside a model of it that is too simple to be wrong, from one thread."""

    @initialize(
        capacity=strategies.integers(1, 4),
        keep_newest=strategies.booleans(),
        least=strategies.integers(0, 12),
    )
    def make(self, capacity: int, keep_newest: bool, least: int) -> None:
        self.bell = threading.Event()
        self.box: Mailbox[int] = Mailbox(capacity, keep_newest, self.bell)
        self.capacity, self.keep_newest = capacity, keep_newest
        self.waiting: deque[int] = deque()
        self.in_hand = self.put = self.dealt_with = self.dropped = 0
        self.finished = False
        self.least = least  # items before it may end, as most histories would end at once

    @precondition(lambda self: self.keep_newest or len(self.waiting) < self.capacity)
    @rule()
    def give(self) -> None:
        self.bell.clear()
        assert self.box.put(self.put) is not self.finished
        if not self.finished:
            assert self.bell.is_set()
            if len(self.waiting) == self.capacity:
                self.waiting.popleft()
                self.dropped += 1
            self.waiting.append(self.put)
            self.put += 1

    @rule()
    def poll(self) -> None:
        expected = self.waiting.popleft() if self.waiting else None
        assert self.box.poll() == expected
        self.in_hand += expected is not None

    @precondition(lambda self: self.waiting or self.finished)
    @rule()
    def take(self) -> None:
        expected = self.waiting.popleft() if self.waiting else None
        assert self.box.take() == expected
        self.in_hand += expected is not None

    @precondition(lambda self: self.in_hand)
    @rule(well=strategies.booleans())
    def put_down(self, well: bool) -> None:
        self.box.done() if well else self.box.lost()
        self.in_hand -= 1
        self.dealt_with += well
        self.dropped += not well

    @precondition(lambda self: self.put >= self.least)
    @rule()
    def finish(self) -> None:
        self.box.finish()
        self.finished = True

    @precondition(lambda self: self.put >= self.least)
    @rule()
    def abandon(self) -> None:
        self.box.abandon()
        self.finished = True
        self.dropped += len(self.waiting)
        self.waiting.clear()

    @invariant()
    def everything_is_accounted_for(self) -> None:
        ledger = self.box.ledger
        assert ledger == Ledger(self.put, self.dealt_with, self.dropped)
        assert ledger.pending == len(self.waiting) + self.in_hand
        assert self.box.exhausted == (self.finished and not self.waiting)


def test_a_mailbox_accounts_for_everything() -> None:
    """Fails where the machine's invariant does, and with the steps that lead there."""
    run_state_machine_as_test(
        MailboxMachine, settings=settings(max_examples=80, stateful_step_count=40)
    )


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    return thread, results


@pytest.mark.parametrize(
    ("free", "taken_in"), [("poll", True), ("finish", False), ("abandon", False)]
)
def test_a_producer_waits_for_room_until_there_is_some_or_the_end(
    free: str, taken_in: bool
) -> None:
    box: Mailbox[int] = Mailbox(1)
    box.put(0)
    thread, results = in_thread(lambda: box.put(1))
    getattr(box, free)()
    thread.join(10)
    assert results == [taken_in]
    assert box.ledger.produced == 1 + taken_in


def test_a_consumer_waits_for_an_item_or_the_end() -> None:
    box: Mailbox[int] = Mailbox(1)
    thread, results = in_thread(box.take)
    box.put(7)
    thread.join(10)
    last, nothing = in_thread(box.take)
    box.finish()
    last.join(10)
    assert (results, nothing) == ([7], [None])


@pytest.mark.parametrize("keep_newest", [False, True])
def test_between_two_threads_order_is_kept_and_the_law_holds_whenever_one_looks(
    keep_newest: bool,
) -> None:
    box: Mailbox[int] = Mailbox(3, keep_newest)
    seen: list[int] = []

    def consume() -> None:
        while (item := box.take()) is not None:
            seen.append(item)
            box.done()

    thread, _ = in_thread(consume)
    for number in range(20_000):
        box.put(number)
        if number % 100 == 0:
            ledger = box.ledger
            assert 0 <= ledger.pending <= 4
            assert ledger.produced == number + 1
    box.finish()
    thread.join(30)
    assert seen == sorted(set(seen))
    assert seen[-1] == 19_999
    assert box.ledger == Ledger(20_000, len(seen), 20_000 - len(seen))
    assert keep_newest or len(seen) == 20_000


def test_what_was_not_taken_cannot_be_put_down() -> None:
    with pytest.raises(RuntimeError, match="in hand"):
        Mailbox[int](1).done()


def test_a_mailbox_that_holds_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Mailbox[int](0)
