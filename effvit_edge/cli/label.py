"""``effvit-edge label``: videos or a camera in, labels and an annotated video out."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from effvit_edge.cli.progress import TerminalWatcher, counted, model_line, stopping_on_signals
from effvit_edge.core.errors import INTERRUPTED, EdgeError, InputError
from effvit_edge.core.optional import require
from effvit_edge.runtime import PROVIDERS

if TYPE_CHECKING:
    from effvit_edge.live import RunReport, SourceReport
    from effvit_edge.runtime import Session
    from effvit_edge.sinks import RecordSink
    from effvit_edge.sources import SourceRef

_DEMO_MODEL = Path("models") / "demo.onnx"
_LISTED_VIDEOS = 8
_STANDARD_OUTPUT = "-"


@click.command()
@click.argument("source")
@click.option(
    "-m", "--model", metavar="FILE", help="An exported model; models/demo.onnx by default."
)
@click.option(
    "--jsonl",
    metavar="FILE|-",
    help="Where the records go, - for standard output; NAME.labels.jsonl by default.",
)
@click.option(
    "--video",
    metavar="FILE",
    help="The annotated MP4, or the folder for those of a folder; NAME.labelled.mp4 by default.",
)
@click.option("--no-video", is_flag=True, help="Write no video; much faster.")
@click.option(
    "--provider",
    type=click.Choice(PROVIDERS),
    default="auto",
    show_default=True,
    help="What runs the model.",
)
@click.option("--rebuild", is_flag=True, help="Build the TensorRT engine anew.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads for the model.")
@click.option(
    "--stride",
    type=click.IntRange(min=1),
    metavar="N",
    help="Label every N-th frame that the model sees. By default all of them; a quarter of the "
    "window for a clip model.",
)
@click.option(
    "--topk",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="K",
    help="How many labels to list with their scores.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(
    source: str,
    model: str | None,
    jsonl: str | None,
    video: str | None,
    no_video: bool,
    provider: str,
    rebuild: bool,
    threads: int | None,
    stride: int | None,
    topk: int,
    as_json: bool,
) -> int:
    """Label SOURCE: a video file, a folder of videos, or the number of a camera.

    Every frame the model sees gets a line of JSON; every frame of the source is drawn into the
    annotated video at its own time. The model is fed at the rate it was trained at, by the
    source's own timestamps, whatever the source's rate.

    \b
    Without --jsonl and --video, the results lie in the current folder:
      clip.mp4   clip.labels.jsonl   clip.labelled.mp4
      0          camera0.labels.jsonl, camera0.labelled.mp4
      folder     folder.labels.jsonl, folder.labelled/NAME.mp4

    While it is written, a file has .partial in its name; so does what an interrupted run leaves.
    """  # noqa: D301 - click's mark against wrapping is the character itself
    if video and no_video:
        raise click.UsageError("--video and --no-video exclude each other.")
    if as_json and jsonl == _STANDARD_OUTPUT:
        raise click.UsageError("--json and --jsonl - cannot both have standard output.")
    from effvit_edge.cli.session import open_model
    from effvit_edge.live import Labeller, Outputs, label_sources
    from effvit_edge.sinks import ReaderGone
    from effvit_edge.sources import list_sources

    require_parts()
    refs = list_sources(source)
    videos = None if no_video else _video_paths(source, refs, video)
    records = _record_sink(source, refs, jsonl)
    model_path = find_model(model)
    written = [] if jsonl == _STANDARD_OUTPUT else [_jsonl_path(source, refs, jsonl)]
    _check_outputs(refs, model_path, [*(videos or {}).values(), *written])
    several = Path(source).is_dir()
    with open_model(model_path, provider, threads, rebuild=rebuild) as session:
        labeller = Labeller(session, topk, stride)
        outputs = Outputs(records, None if videos is None else lambda ref: videos[ref.uri])
        headline = model_line(model_path, session, in_full=_is_given("provider"))
        with TerminalWatcher(several, headline) as watcher, stopping_on_signals(watcher):
            try:
                report = label_sources(refs, labeller, outputs, watcher)
            except ReaderGone:  # as with "| head": it has what it wanted
                return 0
        _show(report, model_path, session, as_json, err=jsonl == _STANDARD_OUTPUT)
    return _exit_code(report, several)


def _is_given(option: str) -> bool:
    source = click.get_current_context().get_parameter_source(option)
    return source is not ParameterSource.DEFAULT


def require_parts() -> None:
    """Say at once, and not after minutes of work, which library is missing.

    Raises:
        EnvironmentFault: one is.
    """
    require("cv2", "video")
    require("av", "video")


def find_model(given: str | None) -> Path:
    """The model the user named, or the demonstration model of this checkout.

    Raises:
        InputError: none was named, and the demonstration model is not there.
    """
    if given is not None:
        return Path(given)
    checkout = Path(__file__).resolve().parents[2] / _DEMO_MODEL
    for path in (_DEMO_MODEL, checkout):
        if path.is_file():
            return path
    raise InputError(
        f"No --model was given, and the demonstration model {_DEMO_MODEL} is not here. "
        "Give an ONNX file written by: effvit-edge export."
    )


def _record_sink(source: str, refs: Sequence[SourceRef], jsonl: str | None) -> RecordSink:
    from effvit_edge.sinks import JsonlFileSink, JsonlStreamSink

    if jsonl == _STANDARD_OUTPUT:
        return JsonlStreamSink(sys.stdout)
    return JsonlFileSink(_jsonl_path(source, refs, jsonl))


def _jsonl_path(source: str, refs: Sequence[SourceRef], jsonl: str | None) -> Path:
    return Path(jsonl) if jsonl else Path(f"{_base_name(source, refs)}.labels.jsonl")


def _video_paths(source: str, refs: Sequence[SourceRef], video: str | None) -> Mapping[str, Path]:
    """The annotated video of each source, by its URI."""
    if not Path(source).is_dir():
        path = Path(video) if video else Path(f"{_base_name(source, refs)}.labelled.mp4")
        if path.suffix.lower() != ".mp4":
            raise InputError(f"The annotated video is an MP4 file, and {path} ends otherwise.")
        return {refs[0].uri: path}
    folder = Path(video) if video else Path(f"{_base_name(source, refs)}.labelled")
    names = _video_names([ref.name for ref in refs])
    return {ref.uri: folder / name for ref, name in zip(refs, names, strict=True)}


def _video_names(names: Sequence[str]) -> list[str]:
    """``a.mkv`` becomes ``a.mp4``; where another would, too, both keep their ending."""
    plain = [Path(name).with_suffix(".mp4").as_posix() for name in names]
    while True:
        counts = Counter(plain)
        clear = [
            new if counts[new] == 1 else f"{name}.mp4"
            for name, new in zip(names, plain, strict=True)
        ]
        if clear == plain:
            return clear
        plain = clear


def _base_name(source: str, refs: Sequence[SourceRef]) -> str:
    """What the default outputs are called: beside the current folder's other files."""
    if Path(source).is_dir():
        return Path(source).resolve().name or "root"
    return Path(refs[0].name).stem


def _check_outputs(refs: Sequence[SourceRef], model: Path, outputs: Sequence[Path]) -> None:
    """See that each output can be written, and replaces nothing that is read or written, too.

    Outputs are looked at under their partial names as well.
    """
    from effvit_edge.sinks import check_place, partial_path

    used = {Path(ref.uri).resolve(): "a source" for ref in refs}
    used[model.resolve()] = "the model"
    for output in outputs:
        names = (output, partial_path(output))
        for path in names:
            kind = used.get(path.resolve())
            if kind:
                raise InputError(
                    f"{path} is {kind}, and writing {output} would replace it. Give another name."
                )
        check_place(output)
        used.update({path.resolve(): "another output" for path in names})


def _exit_code(report: RunReport, several: bool) -> int:
    """130 interrupted, the error's own where nothing worked, 1 where frames suffered."""
    if report.stopped:
        return INTERRUPTED
    failures = [done.failure for done in report.sources if done.failure]
    if failures and not several:
        raise failures[0]
    if failures and report.frames == 0:
        return failures[0].exit_code
    return EdgeError.exit_code if failures or report.lost or report.damaged else 0


def _show(report: RunReport, model: Path, session: Session, as_json: bool, err: bool) -> None:
    if as_json:
        summary = _summary(report, model, session)
        click.echo(json.dumps(summary, indent=2, ensure_ascii=False))
        return
    if not report.frames:
        return
    fps = report.frames / report.seconds if report.seconds else 0.0
    sources = counted(len(report.sources), "source")
    many = f"{sources}, " if len(report.sources) > 1 else ""
    frames, labels = counted(report.frames, "frame"), counted(report.decisions, "label")
    click.echo(f"{many}{frames}, {labels}, {fps:.1f} frames/s", err=err)
    if report.failures:
        click.echo(f"{len(report.failures)} of {sources} failed", err=err)
    if report.lost:
        click.echo(f"{counted(report.lost, 'frame')} lost", err=err)
    if report.damaged:
        click.echo(f"{counted(report.damaged, 'frame')} damaged", err=err)
    if report.jsonl and report.jsonl not in report.kept:
        click.echo(f"labels  {report.jsonl}", err=err)
    videos = [path for path in report.videos if path not in report.kept]
    if len(videos) > _LISTED_VIDEOS:
        click.echo(f"videos  {len(videos)} in {_common_folder(videos)}", err=err)
    else:
        for path in videos:
            click.echo(f"video   {path}", err=err)


def _common_folder(paths: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([path.parent for path in paths]))


def _summary(report: RunReport, model: Path, session: Session) -> dict[str, Any]:
    return {
        "model": str(model),
        "provider": session.provider_report,
        "frames": report.frames,
        "labels": report.decisions,
        "lost": report.lost,
        "damaged": report.damaged,
        "failed": len(report.failures),
        "seconds": round(report.seconds, 3),
        "interrupted": report.stopped,
        "jsonl": str(report.jsonl) if report.jsonl else None,
        "videos": [str(path) for path in report.videos],
        "sources": [_source_summary(done) for done in report.sources],
    }


def _source_summary(done: SourceReport) -> dict[str, Any]:
    return {
        "source": done.source,
        "frames": done.frames,
        "labels": done.decisions,
        "lost": done.losses.frames,
        "damaged": done.losses.damaged,
        "seconds": round(done.seconds, 3),
        "failure": str(done.failure) if done.failure else None,
    }
