"""The training loop: one step after another, evaluated, kept, and resumed exactly."""

from __future__ import annotations

import math
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import yaml
from torch import Tensor

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.errors import EdgeError
from effvit_edge.core.files import atomic_path
from effvit_edge.data.loader import batches
from effvit_edge.data.videos import describe_failures
from effvit_edge.train.build import (
    build_card,
    build_model,
    check_model,
    choose_device,
)
from effvit_edge.train.checkpoint import TrainingState, save_model
from effvit_edge.train.datasets import build_data
from effvit_edge.train.evaluate import evaluate, write_report
from effvit_edge.train.journal import Journal
from effvit_edge.train.metrics import Report
from effvit_edge.train.objective import frame_logits, masked_loss, normalise
from effvit_edge.train.optim import AveragedWeights, learning_rate, make_optimizer
from effvit_edge.train.progress import Reporter, Throughput, make_reporter
from effvit_edge.train.recipe import Recipe
from effvit_edge.train.resume import FinishedRun, open_run
from effvit_edge.train.scoring import TorchScorer


class Trainer:
    """One run of one recipe.

    Args:
        recipe: what to train, on what, how.
        resume: go on from the run's last checkpoint instead of starting anew.
        clock: for throughput.

    Raises:
        InputError: the output folder holds another run, or there is nothing to resume.
    """

    def __init__(self, recipe: Recipe, *, resume: bool = False, clock: Clock | None = None) -> None:
        self.recipe = recipe
        self.folder = Path(recipe.output.folder)
        saved = open_run(self.folder, recipe, resume)
        self.device = choose_device(recipe.speed.device)
        if recipe.speed.threads:
            torch.set_num_threads(recipe.speed.threads)
        check_model(recipe)
        self.clips, self.sequences = build_data(recipe)
        model, self.start = build_model(
            recipe, sum(len(group.labels) for group in self.clips.groups)
        )
        self.model = model.to(self.device)
        self.card = build_card(recipe, self.model, self.clips.groups, self.start)
        self.optimizer = make_optimizer(self.model, recipe.optim)
        self.ema = AveragedWeights(self.model, recipe.optim.ema) if recipe.optim.ema else None
        self.buffers = [b for b in self.model.buffers() if b.is_floating_point()]
        self.logits = frame_logits
        if recipe.speed.compile:
            self.logits = torch.compile(frame_logits)
        self.total_steps = _total_steps(recipe, self.clips.epoch_clips)
        self.step = 0
        self.skipped = 0
        self.skipped_in_a_row = 0
        self.best = -1.0
        self.report: Report | None = None
        self.failures: list[str] = []
        self.throughput = Throughput(clock or MonotonicClock())
        self.clock = clock or MonotonicClock()
        if saved is not None:
            self._restore(saved)

    def run(self) -> FinishedRun:
        """Train to the end; SIGINT and SIGTERM leave a checkpoint and raise KeyboardInterrupt."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(self.folder / "recipe.yaml") as path:
            path.write_text(yaml.safe_dump(self.recipe.to_dict(), sort_keys=False), "utf-8")
        self.journal = Journal(self.folder / "metrics.jsonl", self.step)
        loader = batches(
            self.clips,
            batch_size=self.recipe.optim.batch_size,
            first_step=self.step,
            last_step=self.total_steps,
            workers=self.recipe.speed.workers,
            pin_memory=self.device.type == "cuda",
        )
        with _stop_requests() as stop, make_reporter(self.total_steps, self.step) as reporter:
            if self.start and not self.step:
                self.journal.write({"step": 0, "start": self.start.summary()})
                reporter.say(self.start.sentence())
            self._tell_failures(reporter)
            self._train(loader, stop, reporter)
            report = self.report or self._evaluate(reporter)
        write_report(report, self.folder, title=self.recipe.model.preset)
        figures, failures = report.summary(), tuple(self.failures)
        return FinishedRun(self.folder, self.step, self.skipped, figures, failures)

    def _tell_failures(self, reporter: Reporter) -> None:
        """Record and say which videos were left out, as soon as it is known."""
        known = (*self.clips.failures, *self.sequences.failures)
        new = [failure for failure in known if failure not in self.failures]
        if new:
            self.failures += new
            self.journal.write({"step": self.step, "failures": new})
            reporter.say(describe_failures(new))

    def _train(
        self, loader: Iterator[tuple[Tensor, Tensor]], stop: list[int], reporter: Reporter
    ) -> None:
        self.throughput.restart()
        while self.step < self.total_steps:
            before = self.clock.now()
            clips, labels = next(loader)
            waited = self.clock.now() - before
            record = self._one_step(clips, labels)
            self.throughput.add(len(clips), waited)
            reporter.step(self.step)
            if self.step % self.recipe.output.log_every == 0 or self.step == self.total_steps:
                record |= self.throughput.read()
                reporter.figures(_figures(record))
            self.journal.write(record)
            self._between_steps(reporter)
            if stop:
                self._save("last")
                raise KeyboardInterrupt

    def _between_steps(self, reporter: Reporter) -> None:
        """Evaluate and save where the recipe says so."""
        last = self.step == self.total_steps
        every = self.recipe.eval.every
        evaluates = last or (every > 0 and self.step % every == 0)
        if evaluates:
            self._evaluate(reporter)
        due = evaluates or self.step % self.recipe.output.checkpoint_every == 0
        if last or (due and not self.skipped_in_a_row):  # never over a good checkpoint
            self._save("last")
            self.throughput.restart()

    def _one_step(self, clips: Tensor, labels: Tensor) -> dict[str, Any]:
        """One optimiser step; one that is not finite changes nothing but the counters."""
        optim = self.recipe.optim
        rate = learning_rate(self.step, self.total_steps, optim)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        kept = [buffer.clone() for buffer in self.buffers]
        clips = clips.to(self.device, non_blocking=True)
        labels = labels.to(self.device, non_blocking=True)
        with self._autocast():
            logits = self.logits(self.model, normalise(clips, self.card.preprocess))
        loss, accuracy = masked_loss(
            logits,
            labels,
            warmup_frames=optim.warmup_frames,
            label_smoothing=optim.label_smoothing,
        )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        limit = optim.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        loss_value, norm_value = loss.item(), norm.item()
        self.step += 1
        record: dict[str, Any] = {"step": self.step, "lr": rate}
        if math.isfinite(loss_value) and math.isfinite(norm_value):
            self.skipped_in_a_row = 0
            self.optimizer.step()
            if self.ema is not None:
                self.ema.update(self.model)
            return record | {
                "loss": loss_value,
                "accuracy": round(accuracy.item(), 4),
                "grad_norm": norm_value,
            }
        for buffer, value in zip(self.buffers, kept, strict=True):
            buffer.copy_(value)
        self._count_skip()
        return record | {"skipped": self.skipped, "loss": None}

    def _count_skip(self) -> None:
        self.skipped += 1
        self.skipped_in_a_row += 1
        if self.skipped_in_a_row < self.recipe.optim.max_nonfinite:
            return
        raise EdgeError(
            f"Stopped at step {self.step}: {self.skipped_in_a_row} steps in a row had a loss or "
            f"gradient that is not finite. The weights before them are in {self.folder / 'last'} "
            f"if a checkpoint was due; lower optim.lr, lengthen optim.warmup_steps, or try "
            f"speed.precision=fp32, then start again."
        )

    def _autocast(self) -> torch.autocast:
        enabled = self.recipe.speed.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def _evaluate(self, reporter: Reporter) -> Report:
        own = {name: value.clone() for name, value in self.model.state_dict().items()}
        if self.ema is not None:
            self.model.load_state_dict(self.ema.state_dict(self.model))
        self.model.eval()
        scorer = TorchScorer(
            self.model,
            self.card,
            device=self.device,
            max_frames=self.recipe.eval.max_frames,
            clips=self.recipe.eval.clips,
        )
        report = evaluate(scorer, self.sequences)
        self.model.load_state_dict(own)
        self.report = report
        self.journal.write({"step": self.step, "eval": report.summary()})
        reporter.say(f"step {self.step}: {report.sentence()}")
        self._tell_failures(reporter)
        if self.recipe.eval.keep_best and report.top1 > self.best:
            self.best = report.top1
            self._save("best")
        return report

    def _save(self, name: str) -> None:
        provenance = {
            **self.card.provenance,
            "steps": self.step,
            "skipped_steps": self.skipped,
            "metrics": self.report.summary() if self.report else {},
        }
        card = replace(self.card, provenance=provenance)
        weights = self.ema.state_dict(self.model) if self.ema is not None else None
        training = self._training_state() if name == "last" else None
        save_model(self.folder / name, self.model, card, weights=weights, training=training)

    def _training_state(self) -> TrainingState:
        tensors = {"rng.cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            tensors["rng.cuda"] = torch.cuda.get_rng_state(self.device)
        if self.ema is not None:
            tensors |= {f"model.{k}": v for k, v in self.model.state_dict().items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value for key, value in values.items()}
        facts = {
            "step": self.step,
            "total_steps": self.total_steps,
            "skipped": self.skipped,
            "skipped_in_a_row": self.skipped_in_a_row,
            "best": self.best,
            "ema_updates": self.ema.updates if self.ema is not None else 0,
            "recipe": self.recipe.to_dict(),
        }
        return TrainingState(facts, tensors)

    def _restore(self, saved: tuple[TrainingState, dict[str, Tensor]]) -> None:
        state, weights = saved
        raw = {k.removeprefix("model."): v for k, v in state.tensors.items() if k[:6] == "model."}
        self.model.load_state_dict(raw or weights)
        if self.ema is not None:
            self.ema.values = {name: weights[name].to(self.device) for name in self.ema.values}
            self.ema.updates = state.facts["ema_updates"]
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in state.tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".")
                slots.setdefault(int(index), {})[key] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": slots, "param_groups": groups})
        torch.set_rng_state(state.tensors["rng.cpu"])
        if "rng.cuda" in state.tensors and self.device.type == "cuda":
            torch.cuda.set_rng_state(state.tensors["rng.cuda"], self.device)
        self.step = state.facts["step"]
        self.skipped = state.facts["skipped"]
        self.skipped_in_a_row = state.facts["skipped_in_a_row"]
        self.best = state.facts["best"]


def _figures(record: dict[str, Any]) -> str:
    """A journal record in a few words, for the progress bar."""
    loss = "not finite" if record["loss"] is None else f"{record['loss']:.3f}"
    return (
        f"loss {loss}  {record['samples_per_second']:.1f} clips/s  "
        f"data wait {record['data_wait_share']:.0%}"
    )


def _total_steps(recipe: Recipe, epoch_clips: int | None) -> int:
    if recipe.optim.steps or epoch_clips is None:
        return recipe.optim.steps
    return max(1, math.ceil(recipe.optim.epochs * epoch_clips / recipe.optim.batch_size))


@contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying from them; a second SIGINT is obeyed at once."""
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)

    handlers = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
