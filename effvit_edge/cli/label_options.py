"""The options of ``effvit-edge label``, in the groups its help shows them in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from effvit_edge.core.errors import InputError
from effvit_edge.runtime import PROVIDERS

_SECONDS = click.FloatRange(min=0)
_SHARE = click.FloatRange(min=0, max=1)
_COUNT = click.IntRange(min=1)


@dataclass(frozen=True)
class Given:
    """What stands on the command line; None and False where it does not."""

    sources: tuple[str, ...]
    model: str | None
    provider: str
    device: int
    threads: int | None
    warm_up: int | None
    self_test: bool
    rebuild: bool
    stride: int | None
    topk: int
    roi: tuple[str, ...]
    buffer: int | None
    at_once: int
    smoothing: str | None
    threshold: float | None
    hysteresis: float | None
    min_duration: float | None
    jsonl: str | None
    video: str | None
    no_video: bool
    events: Path | None
    save_events: Path | None
    before: float
    after: float
    window: bool | None
    web: str | None
    web_token: str | None
    mqtt: str | None
    as_json: bool


_OPTIONS = (
    click.argument("sources", metavar="SOURCE...", nargs=-1, required=True),
    click.option(
        "-m", "--model", metavar="FILE", help="An exported model; models/demo.onnx by default."
    ),
    click.option(
        "--provider",
        type=click.Choice(PROVIDERS),
        default="auto",
        show_default=True,
        help="What runs the model.",
    ),
    click.option(
        "--device",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        metavar="N",
        help="Which GPU, by its number.",
    ),
    click.option("--threads", type=_COUNT, metavar="N", help="CPU threads for the model."),
    click.option(
        "--warm-up",
        type=click.IntRange(min=0),
        metavar="N",
        help="Answers to compute for nothing before the first; a few by default.",
    ),
    click.option(
        "--self-test/--no-self-test",
        default=True,
        show_default=True,
        help="Hold the model to the NAME.verify.npz beside it, first.",
    ),
    click.option("--rebuild", is_flag=True, help="Build the TensorRT engine anew."),
    click.option(
        "--stride",
        type=_COUNT,
        metavar="N",
        help="Label every N-th frame that the model sees. By default all of them; a quarter of "
        "the window for a clip model.",
    ),
    click.option(
        "--topk",
        type=_COUNT,
        default=3,
        show_default=True,
        metavar="K",
        help="How many labels to list with their scores.",
    ),
    click.option(
        "--roi",
        multiple=True,
        metavar="X,Y,W,H",
        help="Label this part of the picture: whole numbers are pixels, else fractions. Once for "
        "all sources, or once for each.",
    ),
    click.option(
        "--buffer",
        type=_COUNT,
        metavar="N",
        help="How many of the newest frames of a live source may wait.",
    ),
    click.option(
        "--at-once",
        type=_COUNT,
        default=4,
        show_default=True,
        metavar="N",
        help="How many SOURCEs that end are labelled at the same time; live ones all are.",
    ),
    click.option(
        "--smoothing",
        metavar="KIND:S",
        help="Of the scores, for events: exp:SECONDS, window:SECONDS or none; exp:0.25 by default.",
    ),
    click.option(
        "--threshold", type=_SHARE, metavar="P", help="Score at which an event begins; 0.5."
    ),
    click.option(
        "--hysteresis",
        type=_SHARE,
        metavar="P",
        help="How far the score may fall below it, or behind another's, before it ends; 0.1.",
    ),
    click.option(
        "--min-duration", type=_SECONDS, metavar="S", help="Shorter events are not told; 0.25."
    ),
    click.option(
        "--jsonl",
        metavar="FILE|-",
        help="Where the records go, - for standard output; NAME.labels.jsonl by default.",
    ),
    click.option(
        "--video",
        metavar="FILE",
        help="The annotated MP4, or the folder for those of several sources; NAME.labelled.mp4 "
        "by default, and none of a live source.",
    ),
    click.option("--no-video", is_flag=True, help="Write no video; much faster."),
    click.option(
        "--events",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A table (CSV) of actions with their beginning and end.",
    ),
    click.option(
        "--save-events",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Keep a video around each event.",
    ),
    click.option(
        "--before",
        type=_SECONDS,
        default=2.0,
        show_default=True,
        metavar="S",
        help="Seconds before the event in it.",
    ),
    click.option(
        "--after",
        type=_SECONDS,
        default=2.0,
        show_default=True,
        metavar="S",
        help="Seconds after the event in it.",
    ),
    click.option(
        "--window/--no-window",
        default=None,
        help="Show the picture here, Esc or q ends; by default live ones where there is a display.",
    ),
    click.option(
        "--web",
        metavar="[HOST:]PORT",
        help="Serve a page with picture, labels and events; on this machine only without HOST.",
    ),
    click.option("--web-token", metavar="TEXT", help="What the page asks those for who open it."),
    click.option(
        "--mqtt", metavar="URL", help="Tell a broker: mqtt://user:password@host:port/prefix."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON."),
)


_SECTIONS = {
    "Model": ("model", "provider", "device", "threads", "warm_up", "self_test", "rebuild"),
    "What is labelled": ("roi", "stride", "topk", "buffer", "at_once"),
    "Events": (
        "events", "save_events", "before", "after",
        "smoothing", "threshold", "hysteresis", "min_duration",
    ),
    "Other results": ("jsonl", "video", "no_video", "as_json"),
    "Live view": ("window", "web", "web_token", "mqtt"),
}  # fmt: skip


class SectionedCommand(click.Command):
    """A command whose help shows its options in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Every option, in the section it belongs to."""
        records = {
            param.name: record
            for param in self.get_params(ctx)
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx))
        }
        for title, names in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([records.pop(name) for name in names])
        with formatter.section("Help"):
            formatter.write_dl(list(records.values()))


def label_options(body: Callable[[Given], int]) -> Callable[..., int]:
    """Give a command the options, which it gets as one :class:`Given`."""

    @functools.wraps(body)
    def command(**values: Any) -> int:
        given = Given(**values)
        _check(given)
        return body(given)

    decorated: Callable[..., int] = command
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _check(given: Given) -> None:
    """Refuse what contradicts itself, or would do nothing."""
    if given.video and given.no_video:
        raise click.UsageError("--video and --no-video exclude each other.")
    if given.as_json and given.jsonl == "-":
        raise click.UsageError("--json and --jsonl - cannot both have standard output.")
    if given.web_token is not None and not given.web:
        raise InputError("--web-token is for the page, which --web serves. Add --web PORT.")
    if given.roi and len(given.roi) not in (1, len(given.sources)):
        raise InputError(
            f"There are {len(given.roi)} --roi for {len(given.sources)} sources. Give one for all, "
            "or one for each, in their order."
        )
