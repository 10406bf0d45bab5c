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

from effvit_edge.core.card import ModelCard, Precision
from effvit_edge.core.comparison import Comparison, Logits, compare
from effvit_edge.core.errors import GateFailure, InputError
from effvit_edge.core.strict_json import JSON, as_integer, as_number, check_keys
from effvit_edge.runtime.base import Session


@dataclass(frozen=True)
class Limits:
    """What is let through."""

    relative: float
    """Largest difference of a logit, as a part of the largest logit of the parent."""
    cosine: float
    """Least cosine between an answer and the parent's."""


LIMITS: Mapping[Precision, Limits] = {
    # Ampere and later round float32 products to TF32, ten bits: 1e-3 a product.
    "fp32": Limits(relative=1e-2, cosine=0.9999),
    "fp16": Limits(relative=3e-2, cosine=0.999),
    "int8": Limits(relative=0.25, cosine=0.98),
}


@dataclass(frozen=True)
class Checked:
    """An engine's answers against its parent's; what its sidecar keeps of its gate."""

    comparison: Comparison
    largest: float
    """The largest logit of the parent, either way from zero."""

    def within(self, limits: Limits) -> bool:
        """Whether the engine is good enough; what is no number never is."""
        comparison = self.comparison
        near = comparison.max_abs <= limits.relative * self.largest
        return near and comparison.cosine >= limits.cosine

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
    if checked.within(limits):
        return checked
    raise GateFailure(
        f"{what} differs from its parent by up to {comparison.max_abs:.2e} where the largest logit "
        f"is {checked.largest:.2e} (limit {limits.relative:.0%} of it), cosine "
        f"{comparison.cosine:.5f} (limit {limits.cosine}), same label for "
        f"{comparison.top1_agreement:.1%} of {comparison.answers} answers. Nothing was written; a "
        "higher --precision of the ONNX file is the way out."
    )


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
