"""The gate of an engine: its answers against those of the network it came from, without torch.

The clips and the answers are ``NAME.verify.npz`` beside the ONNX file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from effvit_edge.core.card import ModelCard
from effvit_edge.core.comparison import Comparison, compare
from effvit_edge.core.errors import GateFailure
from effvit_edge.core.limits import Limits
from effvit_edge.core.strict_json import JSON, as_integer, as_number, check_keys
from effvit_edge.runtime.base import Session
from effvit_edge.runtime.verify import read_verify, session_answers


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
    clips, parent = read_verify(verify, session.card)
    child = np.stack([session_answers(session, clip) for clip in clips])
    comparison = compare(parent, child, session.card.label_groups)
    checked = Checked(comparison, float(np.abs(parent).max()))
    if faults := checked.faults(limits, session.card):
        raise GateFailure(
            f"{what} differs too much from its parent: {'; '.join(faults)}, over "
            f"{comparison.answers} answers. No engine was written; a higher --precision of the "
            "ONNX file is the way out, and the --limit options let more through."
        )
    return checked
