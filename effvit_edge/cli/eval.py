"""``effvit-edge eval``: any artifact over any labelled data, by the same figures."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from effvit_edge.core.errors import EnvironmentFault, InputError
from effvit_edge.core.files import sha256_file, why_not_writable
from effvit_edge.core.optional import require

if TYPE_CHECKING:
    from effvit_edge.train.evaldata import Protocol, Views
    from effvit_edge.train.evaluate import Scorer, Tick


@click.command()
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option(
    "--data",
    required=True,
    metavar="SOURCE",
    help="A folder of classes, a CSV with the columns path and label, a prepared folder, a recipe "
    "(what it evaluates on), or 'motion' (rendered).",
)
@click.option(
    "--where",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="Only rows of the CSV that pass, such as split=test or fold!=0.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key of the recipe, such as data.root=DIR.",
)
@click.option(
    "--protocol",
    type=click.Choice(["auto", "stream", "views"]),
    default="auto",
    show_default=True,
    help="Whole sequences frame by frame, or clips of them; auto is as the model was made.",
)
@click.option(
    "--clips", type=click.IntRange(1), help="Clips of a sequence, for views; the recipe's or 4."
)
@click.option(
    "--crops", type=click.Choice(["1", "3"]), help="Crops of a clip, for views; the recipe's or 1."
)
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=180,
    show_default=True,
    help="Sequences, for rendered motion.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of rendered motion."
)
@click.option(
    "--provider",
    default="auto",
    show_default=True,
    help="What runs an ONNX file; of a checkpoint the device: auto, cpu or cuda.",
)
@click.option("--rebuild", is_flag=True, help="Build the TensorRT engine anew.")
@click.option("--output", type=click.Path(path_type=Path), help="Folder for the JSON and picture.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(
    artifact: Path,
    data: str,
    where: tuple[str, ...],
    overrides: tuple[str, ...],
    protocol: Protocol,
    clips: int | None,
    crops: str | None,
    count: int,
    seed: int,
    provider: str,
    rebuild: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Evaluate ARTIFACT, a checkpoint folder, an ONNX file or an engine, on labelled data.

    A stream is shown every sequence frame by frame; a sequence's answer is the mean over the frames
    after warm-up. A clip model is shown several clips of each sequence, and its answers are
    averaged.
    """
    from effvit_edge.cli.eval_text import tables
    from effvit_edge.data.failures import describe_failures
    from effvit_edge.train.evaldata import Question, open_evaluation
    from effvit_edge.train.evaluate import about_model, evaluate, write_report

    if output is not None:
        _check_output(output)
    with ExitStack() as stack:
        scorer = _open_scorer(artifact, provider, rebuild, stack)
        views_crops = int(crops) if crops else None
        question = Question(data, where, overrides, protocol, clips, views_crops, count, seed)
        sequences, views = open_evaluation(question, scorer.card)
        report = evaluate(scorer, sequences, tick=stack.enter_context(_progress()))
        model = about_model(scorer.card)
    about = {
        "model": {"artifact": str(artifact), "sha256": _digest(artifact), **model},
        "data": question.summary(),
        "views": views,
        "failures": sequences.failures,
    }
    if as_json:
        click.echo(json.dumps({**about, **report.to_dict()}, indent=2))
    else:
        click.echo(f"{artifact} on {report.sequences} sequences of {data}, {_in_words(views)}\n")
        click.echo(tables(report))
        if sequences.failures:
            click.echo(describe_failures(sequences.failures), err=True)
    if output is not None:  # last, so that a disk that is full by now takes no figures along
        write_report(report, output, artifact.name, about)


def _check_output(folder: Path) -> None:
    """Find out whether the report can be written there, before minutes of evaluating.

    Raises:
        InputError: the folder, or one that it would lie in, is a file.
        EnvironmentFault: it cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output {folder} is a file. Give the name of a folder.")
    try:
        reason = why_not_writable(folder)
    except NotADirectoryError as error:
        raise InputError(
            f"--output {folder} lies in a file, not in a folder. Give another name."
        ) from error
    if reason:
        raise EnvironmentFault(
            f"The folder --output {folder} cannot be written: {reason}. Give another one."
        )


def _digest(artifact: Path) -> str | None:
    """Of a file; a checkpoint's card has that of its weights."""
    return sha256_file(artifact) if artifact.is_file() else None


def _in_words(views: Views | None) -> str:
    if views is None:
        return "frame by frame"
    clips, crops = views
    return f"by {clips} clips of each × {crops} {'crop' if crops == 1 else 'crops'}"


def _open_scorer(artifact: Path, provider: str, rebuild: bool, stack: ExitStack) -> Scorer:
    if artifact.is_dir():
        if rebuild:
            raise InputError(f"--rebuild is for engines, and {artifact} is a checkpoint.")
        return _open_checkpoint(artifact, provider)
    from effvit_edge.cli.session import open_model
    from effvit_edge.train.evaluate import SessionScorer

    return SessionScorer(stack.enter_context(open_model(artifact, provider, rebuild=rebuild)))


def _open_checkpoint(folder: Path, provider: str) -> Scorer:
    require("torch", "train")
    from effvit_edge.train.build import choose_device
    from effvit_edge.train.checkpoint import load_model
    from effvit_edge.train.scoring import TorchScorer

    if provider not in ("auto", "cpu", "cuda"):
        raise InputError(
            f"--provider {provider} runs exported models, and {folder} is a checkpoint. "
            "Export it first, or give auto, cpu or cuda."
        )
    device = choose_device(provider, option="--provider")
    model, card = load_model(folder)
    return TorchScorer(model.to(device), card, device=device)


@contextmanager
def _progress() -> Iterator[Tick]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("evaluate")
        yield lambda done, total: progress.update(task, completed=done, total=total)
