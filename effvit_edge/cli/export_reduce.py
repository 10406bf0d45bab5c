"""``effvit-edge export --precision fp16|int8``: from a float32 graph, without torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress

from effvit_edge.cli.export_accuracy import LabelledData, accuracy_of_file
from effvit_edge.cli.export_text import Account, conversion_account, row
from effvit_edge.core.card import Precision
from effvit_edge.core.errors import InputError
from effvit_edge.core.limits import graph_limits

if TYPE_CHECKING:
    from effvit_edge.export.convert import Conversion, Measure, Parent, Reduced
    from effvit_edge.export.exclude import Tick
    from effvit_edge.export.precision.calibrate import Calibration, Method
    from effvit_edge.export.samples import Clips


@dataclass(frozen=True)
class Reduction:
    """The options of FP16 and INT8, as ``effvit-edge export`` has them."""

    calibrate: str | None
    calibrate_where: tuple[str, ...]
    calibrate_clips: int
    method: Method
    verify: str | None
    verify_where: tuple[str, ...]
    fp32_attention: bool
    auto_exclude: bool
    seed: int
    limits: dict[str, float | None]


def reduce(
    parent: Parent, precision: Reduced, reduction: Reduction, output: Path
) -> tuple[Conversion, Account]:
    """Convert a float32 graph and hold it to that.

    Returns:
        What was written, and what there is to say of it.
    """
    from effvit_edge.export.convert import convert

    calibration, footage = _calibrate(parent, precision, reduction)
    measure, shown = _measure(parent, reduction)
    # What layers are excluded by is not what accuracy is told on, where there is other footage.
    footage = shown if footage is None else footage
    with _search_progress() as tick:
        report = convert(
            parent,
            output,
            precision=precision,
            limits=graph_limits(precision, reduction.limits),
            attention="fp32" if reduction.fp32_attention else "auto",
            calibration=calibration,
            auto_exclude=reduction.auto_exclude,
            footage=footage,
            measure=measure,
            tick=tick,
        )
    account = conversion_account(report, "rendered" if footage is None else "real")
    if calibration is not None:
        ranges = row(
            "ranges",
            f"{calibration.frames} frames of {calibration.clips} sequences of "
            f"{calibration.classes} classes, {calibration.method}",
        )
        account = dataclasses.replace(account, lines=[*ranges, *account.lines])
    return report, account


@contextmanager
def _search_progress() -> Iterator[Tick]:
    """A bar on a terminal, from the first layer that ``--auto-exclude`` has looked at."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("looking for what to exclude", visible=False)
        yield lambda done, total: progress.update(task, completed=done, total=total, visible=True)


def _calibrate(
    parent: Parent, precision: Reduced, reduction: Reduction
) -> tuple[Calibration | None, Clips | None]:
    """What INT8 needs, and real footage for the gate."""
    if precision != "int8":
        return None, None
    from effvit_edge.export.footage import real_footage
    from effvit_edge.export.precision.calibrate import calibrate
    from effvit_edge.train.evaldata import MOTION, Question, open_evaluation

    assert reduction.calibrate is not None
    question = Question(
        reduction.calibrate,
        reduction.calibrate_where,
        count=reduction.calibrate_clips,
        seed=reduction.seed,
    )
    sequences, _ = open_evaluation(question, parent.card)
    calibration = calibrate(
        parent.model,
        sequences,
        method=reduction.method,
        clips=reduction.calibrate_clips,
        seed=reduction.seed,
    )
    if reduction.calibrate == MOTION:
        return calibration, None
    return calibration, real_footage(parent.card, sequences, reduction.seed)


def _measure(parent: Parent, reduction: Reduction) -> tuple[Measure | None, Clips | None]:
    """A judge on labelled data, and footage of it for the gate."""
    if reduction.verify is None:
        return None, None
    from effvit_edge.export.footage import real_footage
    from effvit_edge.train.evaldata import MOTION

    data = LabelledData(reduction.verify, reduction.verify_where, reduction.seed)
    sequences = data.open(parent.card)

    def measure(path: Path) -> float:
        return accuracy_of_file(path, sequences)

    if reduction.verify == MOTION:
        return measure, None
    return measure, real_footage(parent.card, sequences, reduction.seed)


def refuse_idle_options(precision: Precision, reduction: Reduction) -> None:
    """Options that would do nothing, and INT8 without what it needs."""
    if precision == "int8" and reduction.calibrate is None:
        raise InputError(
            "INT8 needs --calibrate DATA: labelled footage like what the model will see, as a "
            "folder of classes or a CSV file; for a model of rendered motion the word motion."
        )
    if precision != "int8" and (reduction.calibrate is not None or reduction.calibrate_where):
        raise InputError(f"--calibrate is for --precision int8, not {precision}. Leave it out.")
    if precision == "fp32" and (
        reduction.verify is not None
        or reduction.auto_exclude
        or reduction.fp32_attention
        or any(value is not None for value in reduction.limits.values())
    ):
        raise InputError(
            "--verify, --auto-exclude and --fp32-attention are for --precision fp16 and int8, and "
            "the --limit options for these and for engines. Leave them out."
        )
