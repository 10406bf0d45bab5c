"""Which nodes to keep in higher precision so that a gate holds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import onnx

from effvit_edge.core.errors import GateFailure
from effvit_edge.export.gate import Gate, Verdict

Convert = Callable[[Collection[str]], onnx.ModelProto]
"""A child whose named nodes keep their precision."""
Tick = Callable[[int, int], None]
"""Told how many children of how many, at most, have been looked at."""

ALLOW = 0.5
"""The part of the permitted disagreement that a child may use up on the frames of the search."""


def find_exclusions(
    gate: Gate, convert: Convert, candidates: Sequence[str], *, tick: Tick | None = None
) -> tuple[list[str], onnx.ModelProto, Verdict]:
    """Exclude the nodes that do most harm, as few as the gate holds with.

    Each candidate is reduced alone, which tells its harm; then the number of exclusions, the most
    harmful first, is halved down. Streams are followed with their state throughout.

    Args:
        gate: what must hold, with half of the disagreement that it permits.
        convert: makes a child.
        candidates: the nodes that may be excluded.
        tick: told of the progress.

    Returns:
        The nodes, the most harmful first, the child and its verdict; where nothing helps, all of
        them.

    Raises:
        GateFailure: the gate holds only where nothing is reduced.
    """
    progress = _Progress(tick, len(candidates))

    def judged(excluded: Sequence[str]) -> tuple[list[str], onnx.ModelProto, Verdict]:
        child = convert(excluded)
        found = list(excluded), child, gate.judge(child, allow=ALLOW)
        progress.step()
        return found

    best = judged(())
    if best[2].passed:
        return best
    every, harm = set(candidates), {}
    for name in candidates:
        harm[name] = gate.harm(convert(every - {name}))
        progress.step()
    ranked = sorted(candidates, key=lambda name: -harm[name])
    failing, passing = 0, len(ranked)
    while passing - failing > 1:
        middle = (failing + passing) // 2
        found = judged(ranked[:middle])
        if found[2].passed:
            passing, best = middle, found
        else:
            failing = middle
    if best[2].passed:
        return best
    best = judged(ranked)
    if best[2].passed:
        raise GateFailure(
            f"The gate holds only if all {len(ranked)} layers keep their precision, and then "
            "nothing is reduced. Nothing was written; calibrate on more footage, let more through "
            "with the --limit options, or choose a higher --precision."
        )
    return best


class _Progress:
    """Counts children."""

    def __init__(self, tick: Tick | None, candidates: int) -> None:
        self._tick = tick
        self._done, self._total = 0, candidates + candidates.bit_length() + 2

    def step(self) -> None:
        """One more."""
        self._done += 1
        if self._tick is not None:
            self._tick(self._done, self._total)
