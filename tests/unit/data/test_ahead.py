from __future__ import annotations

import threading
from collections.abc import Generator
from typing import cast

import numpy as np
import pytest

from effvit_edge.core.card import LabelGroup
from effvit_edge.core.errors import InputError
from effvit_edge.data.ahead import read_ahead
from effvit_edge.data.types import LabelledSequence


class Sequences:
    """Numbered sequences; notes which were read, and by whom."""

    def __init__(self, count: int, *, broken: int = -1, rotten: int = -1) -> None:
        self.groups = (LabelGroup("class", ("a",)),)
        self.failures: list[str] = []
        self.count, self.broken, self.rotten = count, broken, rotten
        self.read: list[int] = []
        self.threads: set[str] = set()
        self.third = threading.Event()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> LabelledSequence | None:
        self.read.append(index)
        self.threads.add(threading.current_thread().name)
        if index >= 2:
            self.third.set()
        if index == self.rotten:
            raise InputError("too much of the data cannot be read")
        if index == self.broken:
            return None
        return LabelledSequence(str(index), np.zeros((1, 2, 2, 3), np.uint8), np.zeros((1, 1), int))


def test_all_come_in_order() -> None:
    sequences = Sequences(7, broken=4)
    names = [found.name if found else None for found in read_ahead(sequences, range(7))]
    assert names == ["0", "1", "2", "3", None, "5", "6"]
    assert sequences.read == list(range(7))
    assert len(sequences.threads) == 1


def test_the_next_are_read_while_one_is_looked_at() -> None:
    sequences = Sequences(20)
    found = read_ahead(sequences, range(20))
    assert next(found) is not None
    assert sequences.third.wait(timeout=60)  # nobody has asked for the third
    assert len(sequences.read) <= 3


def test_an_error_comes_when_its_turn_does() -> None:
    found = read_ahead(Sequences(5, rotten=1), range(5))
    assert next(found) is not None
    with pytest.raises(InputError, match="too much"):
        next(found)


def test_one_who_stops_looking_stops_the_reading() -> None:
    sequences = Sequences(1000)
    found = cast("Generator[LabelledSequence | None]", read_ahead(sequences, range(1000)))
    next(found)
    found.close()
    assert len(sequences.read) <= 3
    assert all(thread.name not in sequences.threads for thread in threading.enumerate())
