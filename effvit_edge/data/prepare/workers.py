"""Work on many segments in several processes, with the results in the order of the list."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.connection import wait
from typing import TypeVar

from effvit_edge.core.errors import EdgeError
from effvit_edge.core.optional import require

Item = TypeVar("Item")
Result = TypeVar("Result")
_AHEAD = 3
"""Items a worker that are under way, or done and waiting for one before them."""


def map_in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    name: Callable[[Item], str],
) -> Iterator[Result]:
    """Every item's result, in the order of the items.

    Args:
        function: at the top of a module, so that another process finds it.
        items: taken as they are needed.
        workers: processes; with one the work is done here.
        name: of an item, for the error.

    Raises:
        EdgeError: a process died.
        EnvironmentFault: a library is missing.
    """
    if workers == 1:
        yield from map(function, items)
        return
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    # Spawned, not forked: the parent has threads, whose locks a copy would keep locked.
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_start)
    remaining = iter(items)
    try:
        for item in islice(remaining, _AHEAD * workers):
            waiting.append((item, pool.submit(function, item)))
        while waiting:
            item, future = waiting.popleft()
            result = future.result()
            for following in islice(remaining, 1):
                waiting.append((following, pool.submit(function, following)))
            yield result
    except BrokenProcessPool as error:
        names = [name(item), *(name(other) for other, _ in waiting)]
        raise EdgeError(
            f"A worker process was killed, by a lack of memory or a crash of the decoder, at one "
            f"of {', '.join(names)}. Give the same command again with fewer --workers; if it ends "
            f"in the same place, one of these files has to go."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def default_workers() -> int:
    """One for each processor that this process may use."""
    return len(os.sched_getaffinity(0))


def _start() -> None:
    """One thread a worker, no answer to Ctrl-C of its own, and no life after its parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    require("cv2", "video").setNumThreads(1)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
