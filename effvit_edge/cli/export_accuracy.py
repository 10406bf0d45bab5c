"""Accuracy on labelled data, before and after a step of an export."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from effvit_edge.core.comparison import Accuracy
from effvit_edge.core.errors import GateFailure

if TYPE_CHECKING:
    from effvit_edge.core.card import ModelCard
    from effvit_edge.data.types import EvaluationSequences
    from effvit_edge.runtime import Session


@dataclasses.dataclass(frozen=True)
class LabelledData:
    """What ``--verify`` names."""

    source: str
    where: tuple[str, ...]
    seed: int

    def open(self, card: ModelCard) -> EvaluationSequences:
        """Its sequences, as a model takes them.

        Raises:
            InputError: there are none, or their labels are not the model's.
        """
        from effvit_edge.train.evaldata import Question, open_evaluation

        # Rendered motion of another seed than what ranges are found on.
        question = Question(self.source, self.where, seed=self.seed + 1)
        sequences, _ = open_evaluation(question, card)
        return sequences


def accuracy_of(session: Session, sequences: EvaluationSequences) -> float:
    """The share of sequences that a session tells right."""
    from effvit_edge.train.evaluate import SessionScorer, evaluate

    return evaluate(SessionScorer(session), sequences).score


def accuracy_of_file(path: Path, sequences: EvaluationSequences) -> float:
    """That of an ONNX file, on the CPU.

    Raises:
        InputError: ONNX Runtime cannot run it, as where only the plugin has its attention.
    """
    from effvit_edge.runtime import open_session

    with open_session(path, provider="cpu") as session:
        return accuracy_of(session, sequences)


class EngineJudge:
    """Compares an engine with the ONNX file it is built of, on labelled data.

    The file is judged at once: what cannot be compared is then told before a build of minutes.

    Args:
        graph: the ONNX file.
        card: of it.
        data: labelled.
        limit: the largest share of sequences that the engine may tell wrong and the file right,
            all in all.

    Raises:
        InputError: the data cannot be used, or ONNX Runtime cannot run the file.
    """

    def __init__(self, graph: Path, card: ModelCard, data: LabelledData, limit: float) -> None:
        self._sequences = data.open(card)
        self._limit = limit
        self._before = accuracy_of_file(graph, self._sequences)
        self.accuracy: Accuracy | None = None
        """Of both; None until there was an engine."""

    def __call__(self, session: Session) -> None:
        """Judge an engine.

        Raises:
            GateFailure: it tells too many fewer right.
        """
        self.accuracy = Accuracy(self._before, accuracy_of(session, self._sequences))
        if self.accuracy.loss > self._limit:
            raise GateFailure(
                f"The engine tells {self.accuracy.after:.1%} of the sequences right, its ONNX file "
                f"{self._before:.1%}; the limit is a loss of {self._limit:.1%}. Nothing was "
                "written; a higher --precision of the ONNX file is the way out."
            )
