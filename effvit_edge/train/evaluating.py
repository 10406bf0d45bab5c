"""The evaluations of a run in the midst of its training, by all of its processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch

from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import InputError
from effvit_edge.data.types import EvaluationSequences
from effvit_edge.nn import EfficientViT
from effvit_edge.train.average import AveragedWeights
from effvit_edge.train.distributed import Group
from effvit_edge.train.evaluate import Tick, refuse_empty, score_all
from effvit_edge.train.freeze import answering
from effvit_edge.train.metrics import Report
from effvit_edge.train.scoring import TorchScorer
from effvit_edge.train.sections import EvalRecipe
from effvit_edge.train.unrecorded import Recording

_MEET_EVERY = 8
"""Sequences between two moments at which processes ask each other whether to stop: they take
sequences of other lengths, and would wait for each other after every one."""


class Evaluations:
    """Scores the network that is being trained.

    Arithmetic is in the weights' own format, never in half precision, as in the exported artifact
    that is later held to these figures.

    Args:
        model: as it trains, on ``device``.
        card: of the network.
        sequences: this process's share.
        section: of the recipe.
        device: of this process.
        group: the processes that evaluate together.
        average: weights to take instead of the model's own.
    """

    def __init__(
        self,
        model: EfficientViT,
        card: ModelCard,
        sequences: EvaluationSequences,
        section: EvalRecipe,
        *,
        device: torch.device,
        group: Group,
        average: AveragedWeights | None,
    ) -> None:
        self._model = model
        self._card = card
        self._sequences = sequences
        self._section = section
        self._device = device
        self._group = group
        self._average = average

    def rehearse(self, recorder: Recording) -> None:
        """Try a few sequences, to know how long an evaluation takes."""
        with self._scorer() as scorer:
            recorder.rehearse(scorer, self._sequences)

    def score(self, recorder: Recording, stop: Sequence[int]) -> Report:
        """Score every process's share, and all of them together.

        Args:
            recorder: shown the progress.
            stop: requests to stop that this process has had.

        Raises:
            InputError: no process could read a sequence.
            KeyboardInterrupt: some process was asked to stop; all do.
        """
        counts = self._group.gather(len(self._sequences))
        with (
            recorder.evaluating() as tick,
            self._scorer() as scorer,
            self._average.applied() if self._average else nullcontext(),
        ):
            heed = self._heeding(stop, tick, fewest=min(counts))
            report = score_all(scorer, self._sequences, tick=heed)
            first, *others = self._group.gather(report)
            for other in others:
                first.merge(other)
        failures = [text for told in self._group.gather(self._sequences.failures) for text in told]
        try:
            refuse_empty(first, sum(counts), failures)
        except InputError as error:
            raise self._group.agreed(error) from error
        return first

    @contextmanager
    def _scorer(self) -> Iterator[TorchScorer]:
        with answering(self._model):
            yield TorchScorer(
                self._model,
                self._card,
                device=self._device,
                max_frames=self._section.max_frames,
                clips=self._section.clips,
            )

    def _heeding(self, stop: Sequence[int], tick: Tick, fewest: int) -> Tick:
        """A tick that also asks whether to stop, as often in every process."""
        every = 1 if self._group.world == 1 else _MEET_EVERY

        def heed(done: int, total: int) -> None:
            tick(done, total)
            if done % every == 0 and done <= fewest and self._group.any(bool(stop)):
                raise KeyboardInterrupt

        return heed
