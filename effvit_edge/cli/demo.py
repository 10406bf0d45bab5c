"""``effvit-edge demo``: a film of known truth, labelled, and how often the labels are right."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from effvit_edge.cli.label import find_model, require_parts
from effvit_edge.cli.progress import (
    TerminalWatcher,
    counted,
    film_progress,
    model_line,
    stopping_on_signals,
)
from effvit_edge.core.errors import INTERRUPTED, InputError
from effvit_edge.core.files import atomic_path

if TYPE_CHECKING:
    from effvit_edge.live import RunReport
    from effvit_edge.live.truth import FilmScore, FrameTruth, Tally
    from effvit_edge.runtime import Session

_FPS = 30.0
_SEGMENT_SECONDS = 3.0
_SETTLE_SECONDS = 1.0
_SEED = 7


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo"),
    show_default=True,
    metavar="DIR",
    help="The folder for the film, its labels and the truth about it.",
)
@click.option(
    "-m", "--model", metavar="FILE", help="A model of motion; models/demo.onnx by default."
)
@click.option("--seed", default=_SEED, show_default=True, help="Another seed is another film.")
@click.option("--json", "as_json", is_flag=True, help="Print the accuracy as JSON.")
def command(output: Path, model: str | None, seed: int, as_json: bool) -> int:
    """Render a test film, label it, and measure how often the labels are right.

    The film goes through nine apparent motions in pictures made by rule, none of them seen in
    training. The folder receives film.mp4 and truth.jsonl, labelled.mp4 and labels.jsonl.
    """
    require_parts()
    from effvit_edge.runtime import open_session

    model_path = find_model(model)
    film = output / "film.mp4"
    with open_session(model_path) as session:
        _check_labels(session.card.labels, model_path)
        click.echo(model_line(model_path, session, in_full=False), err=True)
        truth = render(film, seed)
        with atomic_path(output / "truth.jsonl") as path:
            path.write_text("".join(json.dumps(asdict(shown)) + "\n" for shown in truth))
        report = _label(film, session, output)
    if report.stopped:
        return INTERRUPTED
    score = _score(output / "labels.jsonl", truth)
    if as_json:
        click.echo(json.dumps(_figures(score), indent=2))
    else:
        _show(score, report, output)
    return 0


def render(film: Path, seed: int) -> list[FrameTruth]:
    """Write the film, and return what is true about each of its frames."""
    from effvit_edge.core.motion import LABELS
    from effvit_edge.core.motion.film import render_film
    from effvit_edge.live.truth import FrameTruth
    from effvit_edge.sinks import VideoSink

    truth: list[FrameTruth] = []
    sink = VideoSink(film, _FPS, crf=16)
    total = round(len(LABELS) * _SEGMENT_SECONDS * _FPS)
    complete = False
    try:
        frames = render_film(seed, fps=_FPS, segment_seconds=_SEGMENT_SECONDS)
        for index, shown in enumerate(film_progress(frames, total)):
            sink.write(shown.image, index / _FPS)
            truth.append(FrameTruth(index, round(index / _FPS, 6), shown.label, shown.segment))
        complete = True
    finally:
        sink.close(complete)
    return truth


def _label(film: Path, session: Session, output: Path) -> RunReport:
    from effvit_edge.live import Outputs, label_sources
    from effvit_edge.sinks import JsonlFileSink
    from effvit_edge.sources import SourceRef

    outputs = Outputs(JsonlFileSink(output / "labels.jsonl"), lambda _: output / "labelled.mp4")
    with TerminalWatcher(several=False) as watcher, stopping_on_signals(watcher):
        refs = [SourceRef(str(film), film.name)]
        report = label_sources(refs, session, outputs, watcher=watcher)
    for failed in report.failures:
        assert failed.failure is not None
        raise failed.failure
    return report


def _check_labels(labels: tuple[str, ...], model: Path) -> None:
    from effvit_edge.core.motion import LABELS

    if set(labels) != set(LABELS):
        raise InputError(
            f"{model} labels {', '.join(labels[:4])}, and the film shows motions: "
            f"{', '.join(LABELS)}. Give a model that was trained on motion."
        )


def _score(labels: Path, truth: list[FrameTruth]) -> FilmScore:
    from effvit_edge.live.truth import score_film

    with labels.open(encoding="utf-8") as lines:
        return score_film(map(json.loads, lines), truth, _SETTLE_SECONDS)


def _figures(score: FilmScore) -> dict[str, object]:
    return {
        "ends": asdict(score.ends),
        "settled": asdict(score.settled),
        "settle_seconds": _SETTLE_SECONDS,
        "settled_by_label": {k: asdict(v) for k, v in score.settled_by_label.items()},
        "ends_by_label": {k: asdict(v) for k, v in score.ends_by_label.items()},
        "mistaken_for": score.mistaken_for,
    }


def _show(score: FilmScore, report: RunReport, output: Path) -> None:
    fps = report.frames / report.seconds if report.seconds else 0.0
    frames, labels = counted(report.frames, "frame"), counted(report.decisions, "label")
    click.echo(f"{frames}, {labels}, {fps:.0f} frames/s")
    click.echo("")
    click.echo("accuracy          at the end of each motion   from its second second on")
    for label, settled in score.settled_by_label.items():
        ends = score.ends_by_label[label]
        wrong = score.mistaken_for.get(label)
        also = f"   also {', '.join(wrong)}" if wrong else ""
        click.echo(_row(label, ends, settled) + also)
    click.echo(_row("all", score.ends, score.settled))
    click.echo("")
    click.echo(f"the film, labelled   {output / 'labelled.mp4'}")
    click.echo(f"its labels           {output / 'labels.jsonl'}")
    click.echo(f"the film, its truth  {output / 'film.mp4'}, {output / 'truth.jsonl'}")
    click.echo("")
    click.echo("next: label a video of yours, or what a camera sees")
    click.echo("  effvit-edge label VIDEO.mp4")
    click.echo("  effvit-edge label 0")


def _row(name: str, ends: Tally, settled: Tally) -> str:
    share = f"{settled.right} of {settled.total}"
    return f"  {name:<18}{ends.right} of {ends.total:<20}  {share:<12}{settled.share:6.1%}"
