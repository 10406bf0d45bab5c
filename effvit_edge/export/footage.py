"""What a gate shows: real frames where labelled data was given, else rendered ones."""

from __future__ import annotations

import numpy as np

from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import InputError
from effvit_edge.data.types import EvaluationSequences
from effvit_edge.export.precision.calibrate import choose_balanced
from effvit_edge.export.samples import Clips, render_samples

_FRAMES = 252
"""Of a stream; a gate shows them in loops."""
_OF_EACH = 32
_CLIPS = 16


def rendered_footage(card: ModelCard) -> Clips:
    """Clips ``(K, T, H, W, 3)`` of moving pictures."""
    return render_samples(card, card.num_frames if card.mode == "clip" else _FRAMES // 2)


def real_footage(card: ModelCard, sequences: EvaluationSequences, seed: int) -> Clips:
    """Clips of labelled data: ``(K, T, H, W, 3)``, or ``(1, frames, H, W, 3)`` for a stream.

    Args:
        card: of the model.
        sequences: at its size and rate.
        seed: of the choice.

    Raises:
        InputError: nothing can be read.
    """
    shown = []
    for sequence in choose_balanced(sequences, _CLIPS, seed):
        if card.mode == "clip":
            shown.append(sequence.frames[0])
        elif sum(map(len, shown)) < _FRAMES:
            shown.append(sequence.frames[:_OF_EACH])
    if not shown:
        raise InputError("No sequence of the data can be read.")
    return np.stack(shown) if card.mode == "clip" else np.concatenate(shown)[None]
