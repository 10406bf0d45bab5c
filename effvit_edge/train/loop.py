"""The training loop: one step after another, evaluated, kept, and resumed exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from effvit_edge import nn
from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.errors import EdgeError, InputError
from effvit_edge.core.files import atomic_path
from effvit_edge.data.loader import batches, worker_deaths
from effvit_edge.train.alike import LeftOut, check_alike
from effvit_edge.train.average import AveragedWeights
from effvit_edge.train.build import build_card, build_model, check_model, choose_device
from effvit_edge.train.checkpoint import save_model
from effvit_edge.train.datasets import build_data, data_notes
from effvit_edge.train.diagnose import FILE, diagnose, write_findings
from effvit_edge.train.distributed import Group
from effvit_edge.train.eta import RunPlan
from effvit_edge.train.evaluate import about_model
from effvit_edge.train.evaluating import Evaluations
from effvit_edge.train.freeze import kept_norms, select_trainable
from effvit_edge.train.memory import keep_freed_memory
from effvit_edge.train.metrics import Report
from effvit_edge.train.objective import Objective
from effvit_edge.train.optim import make_optimizer
from effvit_edge.train.perframe import PerFrame
from effvit_edge.train.precision import Precision
from effvit_edge.train.recipe import Recipe
from effvit_edge.train.record import Recorder
from effvit_edge.train.resume import RECIPE, FinishedRun, SavedRun, open_run
from effvit_edge.train.schedule import make_schedule
from effvit_edge.train.state import Counters, Parts
from effvit_edge.train.step import Outcome, Stepper
from effvit_edge.train.stops import stop_requests
from effvit_edge.train.unrecorded import Recording, Unrecorded

_Batches = Iterator[tuple[Tensor, Tensor]]


class Trainer:
    """One run of one recipe, or one process's part of it.

    Args:
        recipe: what to train, on what, how.
        resume: go on from the run's last checkpoint instead of starting anew.
        group: the processes that train together; the first of them writes and prints.
        clock: for throughput and the time left.

    Raises:
        InputError: the output folder holds another run, there is nothing to resume, or the recipe
            does not fit the data or the number of processes.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        resume: bool = False,
        group: Group | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.recipe = recipe
        self.group = group or Group()
        self.clock = clock or MonotonicClock()
        self.folder = Path(recipe.output.folder)
        with self.group.meeting():
            saved = self._set_up(resume)
        check_alike(self.group, self.folder, saved, self.clips)
        self.stepper = Stepper(
            PerFrame(self.model),
            self.parts.optimizer,
            self.objective,
            recipe=recipe,
            spec=self.card.preprocess,
            precision=self.parts.precision,
            group=self.group,
            average=self.parts.average,
        )
        self.evaluations = Evaluations(
            self.model,
            self.card,
            self.sequences,
            recipe.eval,
            device=self.device,
            group=self.group,
            average=self.parts.average,
        )
        self.report: Report | None = None
        self.left_out = LeftOut(self.clips, self.sequences, self.group)

    def _set_up(self, resume: bool) -> SavedRun | None:
        """Everything that a process makes without the others; what it goes on from, if anything."""
        recipe = self.recipe
        _check_batch(recipe, self.group.world)
        saved = open_run(self.folder, recipe, resume)
        self.device = choose_device(recipe.speed.device, self.group.local_rank)
        if recipe.speed.threads:
            torch.set_num_threads(recipe.speed.threads)
        precision = Precision(recipe.speed.precision, self.device)
        check_model(recipe)
        with self._marked(saved):
            self._build(precision, saved)
        return saved

    def _build(self, precision: Precision, saved: SavedRun | None) -> None:
        """Data, network and what else of a run there is, as the recipe and what was saved say."""
        recipe = self.recipe
        self.clips, self.sequences = build_data(recipe, self.group.rank, self.group.world)
        groups = self.clips.groups
        self.schedule = make_schedule(recipe, self.clips.epoch_clips)
        model, self.start = build_model(
            recipe, sum(len(group.labels) for group in groups), take_start=saved is None
        )
        taken = saved.start if saved else None
        if self.start is not None:
            taken = self.start.summary()
        self.card = build_card(recipe, model, groups, taken)
        self.model = self._prepare(model, precision)
        self.parts = Parts(
            self.model,
            make_optimizer(self.model, recipe.optim),
            precision,
            AveragedWeights(self.model, recipe.optim.ema) if recipe.optim.ema else None,
        )
        self.counters = Counters()
        self.warnings: list[str] = []
        if saved is not None:
            total = self.schedule.total_steps
            self.warnings = saved.differences(recipe, self.group.world, total)
            self.counters = self.parts.restore(saved.state, saved.weights)
        self.objective = Objective(groups, recipe.optim, per_frame=self.card.mode == "stream")

    @property
    def step(self) -> int:
        """Steps done."""
        return self.counters.step

    def run(self) -> FinishedRun:
        """Train to the end; SIGINT and SIGTERM leave a checkpoint and raise KeyboardInterrupt."""
        if self.device.type == "cpu":
            keep_freed_memory()
        own_batches = batches(
            self.clips,
            batch_size=self.recipe.optim.batch_size,
            first_step=self.step,
            last_step=self.schedule.total_steps,
            workers=self.recipe.speed.workers,
            pin_memory=self.device.type == "cuda",
            rank=self.group.rank,
            world=self.group.world,
        )
        with (
            closing(own_batches),  # its workers, before this process ends and waits for them
            worker_deaths(),
            stop_requests() as stop,
            self._recorder() as recorder,
        ):
            self._introduce(recorder)
            if self.step == 0:  # so that there is one to go back to, whatever happens
                self._save("last", recorder)
            # Workers are forked with the first batch, and before an evaluation has threads.
            loader = chain(list(islice(own_batches, 1)), own_batches)
            self.evaluations.rehearse(recorder)
            recorder.start()
            if self._owes_evaluation():
                self._evaluate_and_save(stop, recorder)
            self._train(loader, stop, recorder)
            report = self.report or self._evaluate(stop, recorder)
        figures, failures = report.summary(), tuple(self.left_out.failures)
        return FinishedRun(self.folder, self.step, self.counters.skipped, figures, failures)

    @contextmanager
    def _marked(self, saved: SavedRun | None) -> Iterator[None]:
        """Mark the folder as this run's, before the first checkpoint is; not where it is refused.

        One that is killed keeps its mark, so that ``--resume`` begins it again.
        """
        mark = self.folder / RECIPE
        if saved is not None or not self.group.leads:
            yield
            return
        made, again = not self.folder.exists(), mark.exists()
        with atomic_path(mark) as path:
            path.write_text(yaml.safe_dump(self.recipe.to_dict(), sort_keys=False), "utf-8")
        try:
            yield
        except EdgeError:
            if not again:
                mark.unlink(missing_ok=True)
            if made:
                with suppress(OSError):  # someone else has put something there
                    self.folder.rmdir()
            raise

    def _prepare(self, model: nn.EfficientViT, precision: Precision) -> nn.EfficientViT:
        """The network as it trains: its device and format, what is frozen, how it normalises."""
        section = self.recipe.model
        model.to(self.device, precision.dtype).recompute = self.recipe.speed.recompute
        select_trainable(model, section.trainable)
        if section.batch_norm == "sync":
            nn.synchronise_norms(model, self.device)
        model.train()
        for norm in kept_norms(model, section.batch_norm):
            norm.eval()
        return model

    def _recorder(self) -> Recording:
        if not self.group.leads:
            return Unrecorded()
        output = self.recipe.output
        plan = RunPlan(
            total_steps=self.schedule.total_steps,
            eval_every=self.schedule.eval_every,
            checkpoint_every=output.checkpoint_every,
        )
        return Recorder(
            self.folder,
            plan,
            first_step=self.step,
            evaluated=self.counters.evaluated,
            title=self.recipe.model.preset,
            about={"model": about_model(self.card), "data": self.recipe.to_dict()["data"]},
            log_every=output.log_every,
            tensorboard=output.tensorboard,
            clock=self.clock,
        )

    def _introduce(self, recorder: Recording) -> None:
        """Say what the weights start from and what was left out."""
        if self.start is not None:
            recorder.note({"start": self.start.summary()})
            recorder.say(self.start.sentence())
        for sentence in (*self.warnings, *data_notes(self.recipe, self.clips)):
            recorder.say(sentence)
        self.left_out.tell(recorder)

    def _train(self, loader: _Batches, stop: list[int], recorder: Recording) -> None:
        while self.step < self.schedule.total_steps:
            before = self.clock.now()
            clips, targets = next(loader)
            waited = self.clock.now() - before
            clips = clips.to(self.device, non_blocking=True)
            targets = targets.to(self.device, non_blocking=True)
            outcome = self._one_step(clips, targets, stop)
            recorder.step(self._record(outcome), self.recipe.optim.batch_size, waited)
            if self.counters.skipped_in_a_row >= self.recipe.optim.max_nonfinite:
                self._give_up(clips, targets)
            self._after_step(stop, outcome.stop, recorder)

    def _one_step(self, clips: Tensor, targets: Tensor, stop: Sequence[int] = ()) -> Outcome:
        """Take a step and count it."""
        counters = self.counters
        rate = self.schedule.rate(counters.step)
        outcome = self.stepper(counters.step, rate, clips, targets, stop_requests=stop)
        counters.step += 1
        if outcome.finite:
            counters.skipped_in_a_row = 0
        else:
            counters.skipped += 1
            counters.skipped_in_a_row += not outcome.overflow
        return outcome

    def _record(self, outcome: Outcome) -> dict[str, Any]:
        """A step for the journal."""
        record: dict[str, Any] = {"step": self.step, "lr": outcome.rate}
        if self.stepper.precision.scaler.is_enabled():
            record["loss_scale"] = self.stepper.precision.scale
        if outcome.finite:
            figures = {"loss": outcome.loss, "grad_norm": outcome.gradient_norm}
            return record | figures | self.objective.accuracies(outcome.right)
        skipped = {"loss": None, "skipped": self.counters.skipped, "clips": self._clip_names()}
        return record | skipped | {"overflow": outcome.overflow}

    def _clip_names(self) -> list[str]:
        """The clips of the last step, of all processes, as they are listed.

        Of one that could not be read another of its class was shown; failures tell which those are.
        """
        size = self.recipe.optim.batch_size
        return [self.clips.name(n) for n in range((self.step - 1) * size, self.step * size)]

    def _give_up(self, clips: Tensor, targets: Tensor) -> None:
        """Find out what is not finite, write it down, and stop."""
        network, last = self.stepper.network, self.step - 1
        finding = diagnose(
            network,
            lambda: self.stepper.backward(network, last, clips, targets),
            self.group.rank,
        )
        findings = self.group.gather(finding)
        if self.group.leads:
            write_findings(self.folder, self.step, self._clip_names(), findings)
        worst = next((f for f in findings if f.module or f.gradient), findings[0])
        error = EdgeError(
            f"Stopped at step {self.step}: {self.counters.skipped_in_a_row} steps in a row had a "
            f"loss or gradient that is not finite; {worst.sentence()} ({self.folder / FILE}). "
            f"The last good weights are in {self.folder / 'last'}; lower optim.lr, lengthen the "
            f"warm-up, or try speed.precision=fp32, from them (model.init) or anew."
        )
        raise self.group.agreed(error)

    def _after_step(self, stop: list[int], stops: bool, recorder: Recording) -> None:
        """Save and evaluate where the recipe says so, or save and stop.

        Raises:
            KeyboardInterrupt: some process was asked to stop.
        """
        last = self.step == self.schedule.total_steps
        owes = self._owes_evaluation()
        due = owes or self.step % self.recipe.output.checkpoint_every == 0
        if last or stops or (due and self._is_good()):
            self._save("last", recorder)  # before an evaluation, which may be long
        if stops:
            raise KeyboardInterrupt
        if owes:
            self._evaluate_and_save(stop, recorder)

    def _owes_evaluation(self) -> bool:
        """Whether one is due after the steps so far and has not been; also in a resumed run."""
        return self.schedule.evaluates_after(self.step) and self.counters.evaluated < self.step

    def _is_good(self) -> bool:
        """Whether a checkpoint of now may replace an older one."""
        return not self.counters.skipped_in_a_row

    def _evaluate_and_save(self, stop: list[int], recorder: Recording) -> None:
        self._evaluate(stop, recorder)
        if self.step == self.schedule.total_steps or self._is_good():
            self._save("last", recorder)

    def _evaluate(self, stop: list[int], recorder: Recording) -> Report:
        """Score the network as it is now; keep it if it is the best so far."""
        self.report = report = self.evaluations.score(recorder, stop)
        self.counters.evaluated = self.step
        recorder.evaluation(report)
        self.left_out.tell(recorder)
        if self.recipe.eval.keep_best and report.score > self.counters.best:
            self.counters.best = report.score
            self._save("best", recorder)
        return report

    def _save(self, name: str, recorder: Recording) -> None:
        """Write a checkpoint, by the first process; if it fails, all stop.

        Raises:
            EdgeError: the disk is full or not writable.
        """
        failure: EdgeError | None = None
        if self.group.leads:
            with recorder.saving():
                try:
                    self._write(name)
                except EdgeError as error:
                    failure = error
        failure = self.group.gather(failure)[0]
        if failure is not None:
            raise self.group.agreed(failure)

    def _write(self, name: str) -> None:
        evaluated = self.counters.evaluated == self.step
        provenance = {
            **self.card.provenance,
            "steps": self.step,
            "skipped_steps": self.counters.skipped,
            # Of these very weights, or none: their evaluation may be still to come.
            "metrics": self.report.summary() if self.report and evaluated else {},
        }
        card = replace(self.card, provenance=provenance)
        training = None
        if name == "last":
            training = self.parts.collect(
                self.counters,
                recipe=self.recipe.to_dict(),
                total_steps=self.schedule.total_steps,
                world=self.group.world,
            )
        weights = self.parts.weights()
        save_model(self.folder / name, self.model, card, weights=weights, training=training)


def _check_batch(recipe: Recipe, world: int) -> None:
    """Refuse a batch that the processes and their parts cannot share evenly."""
    batch, parts = recipe.optim.batch_size, recipe.optim.accumulate
    if batch % (world * parts):
        raise InputError(
            f"optim.batch_size is {batch}, which {world} process{'es' if world > 1 else ''} with "
            f"{parts} accumulated part{'s' if parts > 1 else ''} each cannot share evenly. "
            f"Make it a multiple of {world * parts}."
        )
