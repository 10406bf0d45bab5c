"""What the processes of a run that neither write nor print tell their figures to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from effvit_edge.data.types import EvaluationSequences
from effvit_edge.train.evaluate import Scorer, Tick
from effvit_edge.train.metrics import Report

if TYPE_CHECKING:
    from typing_extensions import Self


class Recording(Protocol):
    """What the loop asks of :class:`effvit_edge.train.record.Recorder`."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def rehearse(self, scorer: Scorer, sequences: EvaluationSequences) -> None:
        """Try an evaluation on a few sequences."""
        ...

    def start(self) -> None:
        """Training begins now."""
        ...

    def step(self, record: Mapping[str, Any], samples: int, waited_seconds: float) -> None:
        """One more step is done."""
        ...

    def note(self, record: Mapping[str, Any]) -> None:
        """Keep something that is no figure of a step."""
        ...

    def say(self, text: str) -> None:
        """Show a line."""
        ...

    def evaluating(self) -> AbstractContextManager[Tick]:
        """Around an evaluation."""
        ...

    def saving(self) -> AbstractContextManager[None]:
        """Around the writing of a checkpoint."""
        ...

    def evaluation(self, report: Report) -> None:
        """Keep an evaluation's figures."""
        ...


class Unrecorded:
    """Keeps nothing and says nothing."""

    def __enter__(self) -> Unrecorded:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def rehearse(self, scorer: Scorer, sequences: EvaluationSequences) -> None:
        """Nothing."""

    def start(self) -> None:
        """Nothing."""

    def step(self, record: Mapping[str, Any], samples: int, waited_seconds: float) -> None:
        """Nothing."""

    def note(self, record: Mapping[str, Any]) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    @contextmanager
    def evaluating(self) -> Iterator[Tick]:
        """Around an evaluation; its progress is shown to nobody."""
        yield lambda done, total: None

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Nothing."""
        yield

    def evaluation(self, report: Report) -> None:
        """Nothing."""
