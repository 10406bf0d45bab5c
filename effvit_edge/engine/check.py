"""The gate of an engine: its answers against those of the network it came from, without torch.

The clips and the answers are ``NAME.verify.npz`` beside the ONNX file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from effvit_edge.core.card import ModelCard
from effvit_edge.core.comparison import Comparison, Logits, compare
from effvit_edge.core.errors import GateFailure, InputError
from effvit_edge.core.limits import Limits
from effvit_edge.core.strict_json import JSON, as_integer, as_number, check_keys
from effvit_edge.runtime.base import Session


@dataclass(frozen=True)
class Checked:
    """An engine's answers against its parent's; what its sidecar keeps of its gate."""

    comparison: Comparison
    largest: float
    """The largest logit of the parent, either way from zero."""

    @property
    def relative(self) -> float:
        """The largest difference, as a part of the largest logit."""
        return self.comparison.max_abs / self.largest if self.largest else self.comparison.max_abs

    def faults(self, limits: Limits, card: ModelCard) -> list[str]:
        """What is beyond the limits."""
        return limits.faults(self.comparison, self.relative, card)

    def to_json(self) -> dict[str, JSON]:
        """For the sidecar."""
        return {**dataclasses.asdict(self.comparison), "largest": self.largest}

    @classmethod
    def from_json(cls, found: Mapping[str, JSON]) -> Checked:
        """What ``to_json`` gave.

        Raises:
            InputError: it is something else.
        """
        names = [field.name for field in dataclasses.fields(Comparison)]
        check_keys(found, [*names, "largest"], "'gate'")
        comparison = Comparison(
            max_abs=as_number(found["max_abs"], "max_abs"),
            mean_abs=as_number(found["mean_abs"], "mean_abs"),
            cosine=as_number(found["cosine"], "cosine"),
            top1_agreement=as_number(found["top1_agreement"], "top1_agreement"),
            answers=as_integer(found["answers"], "answers"),
        )
        return cls(comparison, as_number(found["largest"], "largest"))


def verify_path(onnx: Path) -> Path:
    """``NAME.verify.npz`` of ``NAME.onnx``."""
    return onnx.with_name(f"{onnx.stem}.verify.npz")


def check_session(session: Session, verify: Path, limits: Limits, what: str) -> Checked:
    """Run the clips through a session and compare.

    Args:
        session: the engine's.
        verify: the file of clips and answers.
        limits: what is let through.
        what: the engine, for the message.

    Raises:
        InputError: the file of clips cannot be read, or is of another model.
        GateFailure: the answers differ by more than the limits, or are not numbers.
    """
    clips, parent = _read(verify, session.card)
    child = np.stack([_answers(session, clip) for clip in clips])
    comparison = compare(parent, child, session.card.label_groups)
    checked = Checked(comparison, float(np.abs(parent).max()))
    if faults := checked.faults(limits, session.card):
        raise GateFailure(
            f"{what} differs too much from its parent: {'; '.join(faults)}, over "
            f"{comparison.answers} answers. Nothing was written; a higher --precision of the ONNX "
            "file is the way out, and the --limit options let more through."
        )
    return checked


def _read(verify: Path, card: ModelCard) -> tuple[np.ndarray, Logits]:
    try:
        with np.load(verify, allow_pickle=False) as file:
            clips, logits = file["clips"], file["logits"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise InputError(
            f"{verify} cannot be read as clips and answers: {error}. Export the ONNX file again, "
            "which writes it."
        ) from error
    spec = card.preprocess
    picture = (spec.height, spec.width, 3)
    answers = (len(clips), *clips.shape[1:2], card.num_classes)
    if card.mode == "clip":
        answers = (len(clips), card.num_classes)
    if clips.shape[2:] != picture or clips.dtype != np.uint8 or logits.shape != answers:
        raise InputError(
            f"{verify} is of another model: clips {clips.shape} {clips.dtype}, answers "
            f"{logits.shape}, expected {answers}. Export the ONNX file again, which writes it."
        )
    return clips, logits


def _answers(session: Session, clip: np.ndarray) -> Logits:
    """``(T, classes)`` of a stream from its start, ``(classes,)`` of a clip."""
    if session.card.mode == "clip":
        return session.run(clip)
    state = session.init_state()
    answers = []
    for frame in clip:
        logits, state = session.step(frame, state)
        answers.append(logits)
    return np.stack(answers)
