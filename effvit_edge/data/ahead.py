"""Reading the next sequences while the last one is being scored."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from effvit_edge.data.types import EvaluationSequences, LabelledSequence

_AHEAD = 2


def read_ahead(
    sequences: EvaluationSequences, indices: Sequence[int]
) -> Iterator[LabelledSequence | None]:
    """The sequences of these numbers, in order; None for one that cannot be read.

    One thread reads, up to two sequences ahead: decoding and rendering leave Python's lock free
    most of the time, and datasets need not be safe for several threads.

    Raises:
        InputError: what reading one raises, when its turn comes.
    """
    pending: deque[Future[LabelledSequence | None]] = deque()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as reader:
        try:
            for index in indices:
                pending.append(reader.submit(sequences.__getitem__, index))
                if len(pending) > _AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for waiting in pending:
                waiting.cancel()
