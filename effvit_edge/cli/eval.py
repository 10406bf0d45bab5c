"""``effvit-edge eval``: any artifact over any labelled data, by the same figures."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from effvit_edge.core.errors import InputError
from effvit_edge.core.optional import require

if TYPE_CHECKING:
    from effvit_edge.core.card import ModelCard
    from effvit_edge.data.types import EvaluationSequences
    from effvit_edge.train.evaluate import Scorer

_CACHE_BYTES = 0  # each video is seen once


@click.command()
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option(
    "--data",
    required=True,
    metavar="SOURCE",
    help="A folder of classes, a CSV with the columns path and label, or 'motion' (rendered).",
)
@click.option(
    "--where",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="Only rows of the CSV that pass, such as split=test or fold!=0.",
)
@click.option("--count", default=180, show_default=True, help="Sequences, for rendered motion.")
@click.option("--seed", default=1, show_default=True, help="Of rendered motion.")
@click.option("--provider", default="auto", show_default=True, help="What runs an ONNX file.")
@click.option("--output", type=click.Path(path_type=Path), help="Folder for the JSON and picture.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(
    artifact: Path,
    data: str,
    where: tuple[str, ...],
    count: int,
    seed: int,
    provider: str,
    output: Path | None,
    as_json: bool,
) -> None:
    """Evaluate ARTIFACT, a checkpoint folder or an ONNX file, on labelled data.

    A stream is shown every sequence frame by frame; a sequence's answer is the mean over the frames
    after warm-up. A clip model is shown several clips of each sequence.
    """
    from effvit_edge.train.evaluate import evaluate, write_report

    with ExitStack() as stack:
        scorer = _open_scorer(artifact, provider, stack)
        sequences = _open_sequences(data, where, scorer.card, count, seed)
        report = evaluate(scorer, sequences)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        write_report(report, output, title=artifact.name)
    if as_json:
        click.echo(json.dumps({**report.to_dict(), "failures": sequences.failures}, indent=2))
        return
    click.echo(report.sentence())
    for label, share in report.to_dict().get("per_class", {}).items():
        click.echo(f"  {share:6.1%}  {label}")
    if sequences.failures:
        from effvit_edge.data.videos import describe_failures

        click.echo(describe_failures(sequences.failures), err=True)


def _open_scorer(artifact: Path, provider: str, stack: ExitStack) -> Scorer:
    if artifact.is_dir():
        require("torch", "train")
        from effvit_edge.train.checkpoint import load_model
        from effvit_edge.train.scoring import TorchScorer

        model, card = load_model(artifact)
        return TorchScorer(model, card)
    from effvit_edge.runtime import open_session
    from effvit_edge.train.evaluate import SessionScorer

    return SessionScorer(stack.enter_context(open_session(artifact, provider=provider)))


def _open_sequences(
    data: str, where: tuple[str, ...], card: ModelCard, count: int, seed: int
) -> EvaluationSequences:
    if where and Path(data).suffix.lower() != ".csv":
        raise InputError(
            f"--where chooses rows of a CSV file, and {data} is none. Leave it out or give a CSV."
        )
    if data == "motion":
        height, width = card.preprocess.height, card.preprocess.width
        if height != width:
            raise InputError(
                f"Motion is rendered square, and the model takes {height}x{width} pixels. "
                "Give it videos, as a folder of classes or a CSV file."
            )
        from effvit_edge.data.motion import MotionSequences

        frames = 11 * card.num_frames
        return MotionSequences(
            size=card.preprocess.height, frames=frames, count=count, textures=count, seed=seed
        )
    from effvit_edge.data.listing import list_csv, list_folder
    from effvit_edge.data.videos import VideoSequences

    path = Path(data)
    if path.suffix.lower() == ".csv":
        videos = list_csv(path, path.parent, where)
    else:
        videos = list_folder(path)
    return VideoSequences(videos, card.preprocess, fps=card.fps, cache_bytes=_CACHE_BYTES)
