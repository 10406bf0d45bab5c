"""Scoring sequences with anything that answers for them. No torch here: see ``scoring`` for it.

Notation: T frames, H W pixels, M attention window in frames.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import InputError
from effvit_edge.core.files import atomic_path
from effvit_edge.data.progress import track
from effvit_edge.data.types import (
    IGNORE,
    EvaluationSequences,
    Frames,
    LabelledSequence,
    Targets,
    iterate,
)
from effvit_edge.train.metrics import Logits, Report, draw_confusion

if TYPE_CHECKING:
    from effvit_edge.runtime import Session

EVALUATION = "evaluation.json"


class Scorer(Protocol):
    """Something that answers for a sequence of frames."""

    card: ModelCard

    def __call__(self, frames: Frames) -> Logits:
        """``(T, H, W, 3)`` uint8 -> ``(T, classes)`` of a stream, ``(clips, classes)`` else."""
        ...


class SessionScorer:
    """Answers of an exported artifact, frame by frame as on the device.

    Args:
        session: an open session.
        clips: clips a sequence for a clip model.
    """

    def __init__(self, session: Session, *, clips: int = 4) -> None:
        self.session = session
        self.card = session.card
        self.clips = clips

    def __call__(self, frames: Frames) -> Logits:
        """Answers for ``(T, H, W, 3)`` uint8 frames."""
        if self.card.mode == "clip":
            cuts = cut_clips(frames, self.card.num_frames, self.clips)
            return np.stack([self.session.run(clip) for clip in cuts])
        state = self.session.init_state()
        answers = []
        for frame in frames:
            logits, state = self.session.step(frame, state)
            answers.append(logits)
        return np.stack(answers)


def cut_clips(frames: Frames, length: int, count: int) -> list[Frames]:
    """Up to ``count`` evenly spread clips of ``length`` frames; a short sequence is held.

    Args:
        frames: ``(T, H, W, 3)``.
        length: frames a clip.
        count: most clips to cut.
    """
    if len(frames) <= length:
        return [hold_last(frames, length)]
    last = len(frames) - length
    starts = sorted({round(x) for x in np.linspace(0, last, min(count, last + 1))})
    return [frames[start : start + length] for start in starts]


def hold_last(frames: Frames, length: int) -> Frames:
    """Repeat the last frame until there are ``length``."""
    if len(frames) >= length:
        return frames
    return np.concatenate([frames, np.repeat(frames[-1:], length - len(frames), axis=0)])


def evaluate(
    scorer: Scorer, sequences: EvaluationSequences, *, show_progress: bool = False
) -> Report:
    """Score every sequence.

    Raises:
        InputError: the data has a class that the model does not know, or nothing can be read.
    """
    labels = scorer.card.labels
    numbers = _label_numbers(labels, sequences.groups[0].labels)
    report = Report(labels, scorer.card.num_frames, per_frame=scorer.card.mode == "stream")
    items: Iterable[LabelledSequence] = iterate(sequences)
    if show_progress:
        items = track(items, len(sequences), "evaluate")
    for sequence in items:
        found = sequence.targets[:, 0]
        truth = np.where(found == IGNORE, IGNORE, numbers[found])
        report.add(sequence.name, scorer(sequence.frames), truth)
    if not report.sequences:
        first = f" First: {sequences.failures[0]}" if sequences.failures else ""
        raise InputError(f"None of {len(sequences)} sequences could be evaluated.{first}")
    return report


def write_report(report: Report, folder: Path, title: str = "") -> None:
    """Write ``evaluation.json`` and ``confusion.png`` into a folder."""
    with atomic_path(folder / EVALUATION) as path:
        path.write_text(json.dumps(report.to_dict(), indent=1) + "\n", encoding="utf-8")
    draw_confusion(report, folder / "confusion.png", title)


def _label_numbers(model_labels: tuple[str, ...], data_labels: tuple[str, ...]) -> Targets:
    """The model's class number of each of the data's classes, by name."""
    unknown = [label for label in data_labels if label not in model_labels]
    if unknown:
        raise InputError(
            f"The data has the class '{unknown[0]}', which this model does not know; "
            f"it knows {', '.join(model_labels[:12])}. Evaluate on data with the model's classes."
        )
    return np.array([model_labels.index(label) for label in data_labels], dtype=np.int64)
