from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from effvit_edge.core.errors import EdgeError
from effvit_edge.data.prepare.workers import map_in_order


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    words = ["four", "three", "a", "", "seventeen", "of", "them", "nine"]
    assert list(map_in_order(len, words, workers, str)) == [len(word) for word in words]


@pytest.mark.parametrize("workers", [1, 2])
def test_items_are_taken_as_they_are_needed(workers: int) -> None:
    taken: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            taken.append(len(taken))
            yield -len(taken)

    results = map_in_order(abs, endless(), workers, str)
    assert [next(results) for _ in range(5)] == [1, 2, 3, 4, 5]
    assert len(taken) <= 5 + 3 * workers
    results.close()  # type: ignore[attr-defined]


def test_a_worker_that_is_killed_is_told_with_what_it_may_have_worked_at() -> None:
    with pytest.raises(EdgeError, match=r"A worker process was killed.* at one of 7, 7\."):
        list(map_in_order(os._exit, [7, 7], 2, str))
