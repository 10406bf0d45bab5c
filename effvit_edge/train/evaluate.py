"""Scoring sequences with anything that answers for them. No torch here: see ``scoring`` for it.

Notation: T frames, H W pixels, M attention window in frames.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import InputError
from effvit_edge.core.files import atomic_path
from effvit_edge.data.ahead import read_ahead
from effvit_edge.data.types import EvaluationSequences, Frames
from effvit_edge.train.matching import Matching
from effvit_edge.train.metrics import ExclusiveTally, Logits, Report
from effvit_edge.train.plots import draw_confusion

if TYPE_CHECKING:
    from effvit_edge.runtime import Session

EVALUATION = "evaluation.json"
CONFUSION = "confusion.png"

Tick = Callable[[int, int], None]
"""Told how many sequences of how many have been looked at."""

FRAMES_DIMENSIONS = 4
"""Of a whole sequence; its views have one more."""


class Scorer(Protocol):
    """Something that answers for a sequence of frames."""

    card: ModelCard

    def __call__(self, frames: Frames) -> Logits:
        """Answers for a sequence.

        Args:
            frames: ``(T, H, W, 3)`` uint8, or ``(V, T, H, W, 3)``: views of a sequence.

        Returns:
            ``(V, classes)`` for views, a stream answering at each one's end; else ``(T, classes)``
            of a stream, ``(clips, classes)`` of anything else.
        """
        ...


class SessionScorer:
    """Answers of an exported artifact, frame by frame as on the device.

    Args:
        session: an open session.
        clips: clips a sequence for a clip model that is shown whole sequences.
    """

    def __init__(self, session: Session, *, clips: int = 4) -> None:
        self.session = session
        self.card = session.card
        self.clips = clips

    def __call__(self, frames: Frames) -> Logits:
        """Answers for a sequence or its views."""
        clip_model = self.card.mode == "clip"
        if frames.ndim == FRAMES_DIMENSIONS and not clip_model:
            return self._stream(frames)
        if frames.ndim == FRAMES_DIMENSIONS:
            views = cut_clips(frames, self.card.num_frames, self.clips)
        else:
            views = list(frames)
        if clip_model:
            return np.stack([self.session.run(view) for view in views])
        return np.stack([self._stream(view)[-1] for view in views])

    def _stream(self, frames: Frames) -> Logits:
        """``(T, H, W, 3)`` -> ``(T, classes)``, from a fresh state."""
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


def evaluate(scorer: Scorer, sequences: EvaluationSequences, *, tick: Tick | None = None) -> Report:
    """Score every sequence.

    Args:
        scorer: what answers.
        sequences: the data.
        tick: called after each sequence with how many of how many are done.

    Raises:
        InputError: the data has a class that the model does not know, or nothing can be read.
    """
    report = score_all(scorer, sequences, tick=tick)
    refuse_empty(report, len(sequences), sequences.failures)
    return report


def score_all(
    scorer: Scorer, sequences: EvaluationSequences, *, tick: Tick | None = None
) -> Report:
    """Score every sequence that can be read, which may be none: a process's share of the data.

    Raises:
        InputError: the data has a class that the model does not know.
    """
    card = scorer.card
    matching = Matching(card.label_groups, sequences.groups)
    report = Report(card.label_groups, card.num_frames)
    for done, sequence in enumerate(read_ahead(sequences, range(len(sequences))), start=1):
        if sequence is not None:
            logits = scorer(sequence.frames)
            per_frame = card.mode == "stream" and sequence.frames.ndim == FRAMES_DIMENSIONS
            report.add(sequence.name, logits, matching(sequence.targets), per_frame=per_frame)
        if tick is not None:
            tick(done, len(sequences))
    return report


def refuse_empty(report: Report, count: int, failures: Sequence[str]) -> None:
    """Refuse an evaluation of nothing.

    Args:
        report: of all sequences.
        count: how many there were.
        failures: why some could not be read.

    Raises:
        InputError: no sequence was scored.
    """
    if not report.sequences:
        first = f" First: {failures[0]}" if failures else ""
        raise InputError(f"None of {count} sequences could be evaluated.{first}")


def about_model(card: ModelCard) -> dict[str, Any]:
    """Which model answered, for a report."""
    known = ("recipe_hash", "weights_sha256", "steps")
    made = {name: card.provenance[name] for name in known if name in card.provenance}
    names = ("variant", "mode", "num_frames", "precision")
    return {**{name: getattr(card, name) for name in names}, **made}


def write_report(
    report: Report, folder: Path, title: str = "", about: Mapping[str, Any] | None = None
) -> None:
    """Write ``evaluation.json`` and the confusion pictures into a folder.

    Args:
        report: the figures.
        folder: where to; it is made where it is missing.
        title: of the pictures.
        about: what stands before the figures: which model was asked, and about which data.

    Raises:
        EnvironmentFault: matplotlib is not installed.
    """
    with atomic_path(folder / EVALUATION) as path:
        tree = {**(about or {}), **report.to_dict()}
        path.write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")
    for name, tally in pictured(report).items():
        draw_confusion(tally, folder / name, title)


def pictured(report: Report) -> dict[str, ExclusiveTally]:
    """File names of the confusion pictures; the one of the first group is ``confusion.png``."""
    first = report.groups[0].name
    return {
        CONFUSION if name == first else f"confusion_{name}.png": tally
        for name, tally in report.exclusive.items()
    }
