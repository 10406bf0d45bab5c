"""A taste of an evaluation before the training: that it works, and how long it will take."""

from __future__ import annotations

import numpy as np

from effvit_edge.core.clock import Clock
from effvit_edge.data.ahead import read_ahead
from effvit_edge.data.types import EvaluationSequences, LabelledSequence
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
        Seconds; 0 of no sequences.
    """
    if not len(sequences):
        return 0.0
    spread = np.linspace(0, len(sequences) - 1, min(_SEQUENCES, len(sequences)))
    chosen = sorted({round(place) for place in spread})
    _score(scorer, sequences[chosen[0]])
    start, done = clock.now(), 0
    for sequence in read_ahead(sequences, chosen):
        _score(scorer, sequence)
        done += 1
        if clock.now() - start > _ENOUGH_SECONDS:
            break
    return len(sequences) * (clock.now() - start) / done


def _score(scorer: Scorer, sequence: LabelledSequence | None) -> None:
    if sequence is not None:
        scorer(sequence.frames)
