"""A taste of an evaluation before the training: that it works, and how long it will take."""

from __future__ import annotations

import numpy as np

from effvit_edge.core.clock import Clock
from effvit_edge.data.types import EvaluationSequences
from effvit_edge.train.evaluate import Scorer

_SEQUENCES = 8
_ENOUGH_SECONDS = 5.0


def rehearse(scorer: Scorer, sequences: EvaluationSequences, clock: Clock) -> float:
    """Score a few sequences, spread over the data, and predict how long all of them take.

    The first is scored twice, because whatever runs for the first time is slow.

    Args:
        scorer: what will answer.
        sequences: what it will be asked about.
        clock: seconds from anywhere.

    Returns:
        Seconds; 0 where none of the few can be read, or there are none.
    """
    if not len(sequences):
        return 0.0
    spread = np.linspace(0, len(sequences) - 1, min(_SEQUENCES, len(sequences)))
    chosen = sorted({round(place) for place in spread})
    _score(scorer, sequences, chosen[0])
    seconds, scored = 0.0, 0
    for index in chosen:
        start = clock.now()
        if _score(scorer, sequences, index):
            seconds += clock.now() - start
            scored += 1
        if seconds > _ENOUGH_SECONDS:
            break
    return len(sequences) * seconds / scored if scored else 0.0


def _score(scorer: Scorer, sequences: EvaluationSequences, index: int) -> bool:
    """Whether a sequence could be read and scored."""
    sequence = sequences[index]
    if sequence is not None:
        scorer(sequence.frames)
    return sequence is not None
