"""``effvit-edge label``: videos, cameras or streams in; labels, events, pictures out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from effvit_edge.cli.label_options import Given, SectionedCommand, label_options
from effvit_edge.cli.label_outputs import STANDARD_OUTPUT, OutputPaths
from effvit_edge.cli.progress import TerminalWatcher, model_line, stopping_on_signals
from effvit_edge.core.errors import InputError
from effvit_edge.core.optional import require

if TYPE_CHECKING:
    from effvit_edge.live import EventRules, Lane, Outputs
    from effvit_edge.sinks import FeedSink, WindowSink
    from effvit_edge.sources import Source, SourceRef

_DEMO_MODEL = Path("models") / "demo.onnx"


@click.command(cls=SectionedCommand)
@label_options
def command(given: Given) -> int:
    """Label each SOURCE: a video, a folder or pattern of them, a camera, a stream.

    \b
      clip.mp4   folder   '*.mp4'    files; of a folder of pictures, its pictures
      0          v4l2:///dev/video0  a camera on USB      csi://0  one on a Jetson
      rtsp://…   http://…            a network camera     gst: …   a pipeline
      synthetic://motion             a rendered film

    Every frame the model sees gets a line of JSON; every frame of a file is drawn into the
    annotated video at its own time. The model is fed at the rate it was trained at, by the
    source's own timestamps. Files lose no frame; of a live source the newest are labelled. Several
    sources share the model.

    \b
    Without --jsonl and --video, the results lie in the current folder:
      clip.mp4   clip.labels.jsonl, clip.labelled.mp4
      folder     folder.labels.jsonl, folder.labelled/NAME.mp4
      0          camera0.labels.jsonl
      a b c      sources.labels.jsonl, sources.labelled/NAME.mp4

    While it is written, a file has .partial in its name; so does what an interrupted run leaves.
    """  # noqa: D301 - click's mark against wrapping is the character itself
    from effvit_edge.cli.label_outputs import check_outputs, output_paths
    from effvit_edge.cli.label_sources import list_lanes
    from effvit_edge.cli.label_summary import exit_code, show
    from effvit_edge.cli.session import open_model
    from effvit_edge.live import LabelOptions, label_lanes
    from effvit_edge.sinks import ReaderGone

    require_parts()
    rules = event_rules(given)
    lanes = list_lanes(given.sources, given.roi)
    paths = output_paths(given, lanes)
    model_path = find_model(given.model)
    check_outputs(lanes, model_path, paths)
    several = len(lanes) > 1 or Path(given.sources[0]).is_dir()
    options = LabelOptions(given.topk, given.stride, rules, given.at_once)
    with open_model(
        model_path,
        given.provider,
        given.threads,
        device=given.device,
        warm_up=given.warm_up,
        self_test=given.self_test,
        rebuild=given.rebuild,
    ) as session:
        headline = model_line(model_path, session, in_full=_is_given("provider"))
        with (
            _outputs(given, lanes, paths, rules) as outputs,
            TerminalWatcher(several, headline, show_backends=_debug()) as watcher,
            stopping_on_signals(watcher),
        ):
            try:
                report = label_lanes(lanes, session, outputs, options, watcher, opener(given))
            except ReaderGone:  # as with "| head": it has what it wanted
                return 0
        show(report, model_path, session, given.as_json, err=given.jsonl == STANDARD_OUTPUT)
    return exit_code(report, several)


def _debug() -> bool:
    return bool(click.get_current_context().obj)


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

    ``EFFVIT_MODELS`` names another folder that has it, as the images' does.

    Raises:
        InputError: none was named, and the demonstration model is not there.
    """
    if given is not None:
        return Path(given)
    folders = [_DEMO_MODEL.parent, Path(__file__).resolve().parents[2] / _DEMO_MODEL.parent]
    if "EFFVIT_MODELS" in os.environ:
        folders.append(Path(os.environ["EFFVIT_MODELS"]))
    for path in (folder / _DEMO_MODEL.name for folder in folders):
        if path.is_file():
            return path
    raise InputError(
        f"No --model was given, and the demonstration model {_DEMO_MODEL} is not here. "
        "Give an ONNX file written by: effvit-edge export."
    )


def event_rules(given: Given) -> EventRules | None:
    """When an action is there; None where nothing was said about it.

    Raises:
        InputError: a value is out of its range.
    """
    from effvit_edge.live import EventRules, parse_smoothing

    said: dict[str, Any] = {
        "smoothing": parse_smoothing(given.smoothing) if given.smoothing else None,
        "threshold": given.threshold,
        "hysteresis": given.hysteresis,
        "min_seconds": given.min_duration,
    }
    values = {name: value for name, value in said.items() if value is not None}
    return EventRules(**values) if values else None


def opener(given: Given) -> Callable[[SourceRef], Source]:
    """Opens sources as the options say."""
    from effvit_edge.sources import open_source

    return lambda ref: open_source(ref.uri, ref.name, buffer=given.buffer)


@contextmanager
def _outputs(
    given: Given, lanes: Sequence[Lane], paths: OutputPaths, rules: EventRules | None
) -> Iterator[Outputs]:
    """Everything that takes labels or pictures; what listens is closed again, whatever happens."""
    from effvit_edge.cli.label_outputs import record_sink
    from effvit_edge.live import EventRules, Outputs
    from effvit_edge.sinks import ClipOptions, EventsCsvSink

    videos = paths.videos or {}
    lag = (rules or EventRules()).min_seconds + 1
    clips = ClipOptions(paths.clips, given.before, given.after, lag) if paths.clips else None
    feeds: list[FeedSink] = []
    try:
        if given.web:
            feeds.append(_web(given))
        if given.mqtt:
            feeds.append(_mqtt(given.mqtt))
        yield Outputs(
            records=record_sink(paths),
            video_path=(lambda ref: videos.get(ref.name)) if videos else None,
            events=EventsCsvSink(paths.events) if paths.events else None,
            clips=clips,
            feeds=feeds,
            window=_window(given.window, lanes),
        )
    finally:
        for feed in feeds:
            feed.close()


def _web(given: Given) -> FeedSink:
    from effvit_edge.sinks.web import WebSink

    assert given.web is not None
    sink = WebSink(given.web, given.web_token)
    click.echo(f"page: {sink.url}", err=True)
    return sink


def _mqtt(url: str) -> FeedSink:
    from effvit_edge.sinks.mqtt import MqttSink

    return MqttSink(url)


def _window(wanted: bool | None, lanes: Sequence[Lane]) -> WindowSink | None:
    """A window where one is wanted; by default of live sources, where there is a display."""
    from effvit_edge.sinks import WindowSink, why_no_window

    if wanted is None:
        wanted = any(lane.is_live for lane in lanes) and why_no_window() is None
    return WindowSink() if wanted else None
