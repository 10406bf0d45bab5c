"""How long calls take on a device: rounds over all of them in turn, medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

Call = Callable[[], Any]
_WARM_UP_ROUNDS = 3


def as_graph(call: Call) -> Call:
    """The call captured once, so that only the device's own time remains; CUDA only."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def microseconds(
    calls: Mapping[str, Call], *, rounds: int, repeats: int, device: torch.device
) -> dict[str, float]:
    """The median time of one call, in microseconds.

    Args:
        calls: by name; every round runs each in turn, so a slow moment hits all of them.
        rounds: that count, after a few that do not.
        repeats: calls between two looks at the clock.
        device: where they run. CUDA's own events are the clock there.
    """
    clock = _cuda_microseconds if device.type == "cuda" else _wall_microseconds
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(_WARM_UP_ROUNDS + rounds):
        for name, call in calls.items():
            taken = clock(call, repeats)
            if number >= _WARM_UP_ROUNDS:
                times[name].append(taken / repeats)
    return {name: statistics.median(values) for name, values in times.items()}


def _cuda_microseconds(call: Call, repeats: int) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    call()  # what was there before ends up in the queue, not in the time
    start.record()
    for _ in range(repeats):
        call()
    end.record()
    end.synchronize()
    return 1e3 * float(start.elapsed_time(end))


def _wall_microseconds(call: Call, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return 1e6 * (time.perf_counter() - start)
