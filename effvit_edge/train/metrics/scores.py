"""From logits to scores, and what scores are worth.

Notation: T frames or clips, N sequences, C classes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Logits = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


def softmax(logits: Logits) -> Scores:
    """Over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Scores = (shifted / shifted.sum(axis=-1, keepdims=True)).astype(np.float32)
    return result


def sigmoid(logits: Logits) -> Scores:
    """Of each number by itself, without overflow."""
    result: Scores = (0.5 * (1.0 + np.tanh(0.5 * logits))).astype(np.float32)
    return result


def average_precision(scores: Scores, applies: Flags) -> float:
    """Area under the steps of precision over recall, without interpolation.

    The sum over thresholds of (gain in recall) times (precision there), as scikit-learn's
    ``average_precision_score``; sequences of equal scores pass the threshold together.

    Args:
        scores: ``(N,)``, of one class.
        applies: ``(N,)``, whether the class applies; at least once.
    """
    order = np.argsort(-scores, kind="stable")
    last_of_equals = np.append(np.diff(scores[order]) != 0, True)
    right = np.cumsum(applies[order])[last_of_equals]
    answered = np.flatnonzero(last_of_equals) + 1
    gains = np.diff(right, prepend=0)
    return float((gains * right / answered).sum() / right[-1])


def asked_frames(
    labelled: npt.NDArray[np.intp], count: int, window_frames: int
) -> npt.NDArray[np.intp]:
    """The frames of a stream that are scored: those with a label, after the warm-up.

    Args:
        labelled: numbers of the frames that have a label, at least one.
        count: frames in all.
        window_frames: ``M``; the warm-up is ``M - 1`` frames, but never the last one.

    Returns:
        Their numbers; the last labelled one where all come before.
    """
    asked = labelled[labelled >= min(window_frames - 1, count - 1)]
    return asked if len(asked) else labelled[-1:]
