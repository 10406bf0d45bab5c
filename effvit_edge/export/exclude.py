"""Which nodes to keep in higher precision so that a gate holds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import onnx

from effvit_edge.export.gate import Gate, Verdict

Convert = Callable[[Collection[str]], onnx.ModelProto]
"""A child whose named nodes keep their precision."""


def find_exclusions(
    gate: Gate, convert: Convert, candidates: Sequence[str]
) -> tuple[list[str], onnx.ModelProto, Verdict]:
    """Exclude the nodes that do most harm, as few as the gate holds with.

    Each candidate is reduced alone, which tells its harm; then the number of exclusions, the most
    harmful first, is halved down.

    Args:
        gate: what must hold.
        convert: makes a child.
        candidates: the nodes that may be excluded.

    Returns:
        The nodes, the most harmful first, the child and its verdict; where nothing helps, all of
        them.
    """
    child = convert(())
    verdict = gate.judge(child)
    if verdict.passed:
        return [], child, verdict
    every = set(candidates)
    harm = {name: gate.harm(convert(every - {name})) for name in candidates}
    ranked = sorted(candidates, key=lambda name: -harm[name])
    failing, passing = 0, len(ranked)
    best = ranked, convert(ranked), gate.judge(convert(ranked))
    while best[2].passed and passing - failing > 1:
        middle = (failing + passing) // 2
        child = convert(ranked[:middle])
        verdict = gate.judge(child)
        if verdict.passed:
            passing, best = middle, (ranked[:middle], child, verdict)
        else:
            failing = middle
    return best
