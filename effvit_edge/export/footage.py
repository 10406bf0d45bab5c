"""What a gate shows: real frames where labelled data was given, else rendered ones."""

from __future__ import annotations

import numpy as np

from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import InputError
from effvit_edge.data.types import EvaluationSequences
from effvit_edge.export.precision.calibrate import choose_balanced
from effvit_edge.export.samples import Clips, render_samples

_RENDERED_FRAMES = 252
"""Of a stream."""
_REAL_SEQUENCES, _OF_EACH = 32, 32
"""Of a stream: so many frames that one in a hundred is ten of them."""
_REAL_CLIPS = 16


def rendered_footage(card: ModelCard) -> Clips:
    """Clips ``(K, T, H, W, 3)`` of moving pictures."""
    return render_samples(card, card.num_frames if card.mode == "clip" else _RENDERED_FRAMES // 2)


def real_footage(card: ModelCard, sequences: EvaluationSequences, seed: int) -> Clips:
    """Clips of labelled data: ``(K, T, H, W, 3)``, or ``(1, frames, H, W, 3)`` for a stream.

    Args:
        card: of the model.
        sequences: at its size and rate.
        seed: of the choice, which is another than calibration's by the same seed.

    Raises:
        InputError: nothing can be read.
    """
    clips = card.mode == "clip"
    chosen = choose_balanced(sequences, _REAL_CLIPS if clips else _REAL_SEQUENCES, seed + 1)
    shown = [s.frames[0] if clips else s.frames[:_OF_EACH] for s in chosen]
    if not shown:
        raise InputError("No sequence of the data can be read.")
    return np.stack(shown) if clips else np.concatenate(shown)[None]
