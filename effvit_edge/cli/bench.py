"""``effvit-edge bench``: how long a label takes here, and all that belongs to the figure."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from effvit_edge.bench.estimate.devices import DEVICES
from effvit_edge.cli.bench_compare import compare
from effvit_edge.cli.bench_estimate import print_estimates
from effvit_edge.cli.bench_output import check_output, show_result, tell, write
from effvit_edge.cli.finite import FiniteRange
from effvit_edge.cli.stopping import Stopping
from effvit_edge.core.errors import INTERRUPTED, InputError
from effvit_edge.core.optional import require
from effvit_edge.runtime import PROVIDERS, Tuning
from effvit_edge.runtime.tuning import WAITINGS

if TYPE_CHECKING:
    from effvit_edge.bench.result import Result
    from effvit_edge.bench.scenarios import Setup
    from effvit_edge.core.card import Mode
    from effvit_edge.runtime.tuning import LayerTime, Waiting

_COMPARE = "compare"
_PRESETS = "efficientvit"
"""What their names begin with."""
_LARGEST, _MOST_THREADS = 16384, 256
_REFRESHES = 1


@click.command()
@click.argument("artifacts", nargs=-1, required=True, metavar="ARTIFACT… | compare RESULT…")
@click.option(
    "--scenario",
    type=click.Choice(["single-stream", "multi-stream", "offline"]),
    default="single-stream",
    show_default=True,
    help="One picture after another; one of each stream in turn; nothing is resized.",
)
@click.option("--streams", type=click.IntRange(min=1), metavar="N", help="Of multi-stream.")
@click.option("--mlperf", is_flag=True, help="Single-stream for 600 s, with MLPerf's estimate.")
@click.option(
    "--duration", type=FiniteRange(min=0, min_open=True), metavar="S", help="Seconds; 60."
)
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Stop after N queries.")
@click.option(
    "--warm-up", type=FiniteRange(min=0), default=2.0, show_default=True, metavar="S",
    help="At least so many seconds, and until times are steady.",
)  # fmt: skip
@click.option("--provider", type=click.Choice(PROVIDERS), default="auto", show_default=True)
@click.option("--threads", type=click.IntRange(1, _MOST_THREADS), help="CPU threads for the model.")
@click.option(
    "--cuda-graph/--no-cuda-graph", default=True, show_default=True,
    help="Launch a step of an engine as one captured graph.",
)  # fmt: skip
@click.option(
    "--wait", type=click.Choice(WAITINGS), default="auto", show_default=True,
    help="Wait for the device as its driver chooses, spinning, or asleep; a CPU's threads, too.",
)  # fmt: skip
@click.option(
    "--zero-copy/--copy", default=True, show_default=True,
    help="On a Jetson, leave pictures and logits in the memory that GPU and CPU share.",
)  # fmt: skip
@click.option(
    "--profile/--no-profile", default=None,
    help="Time every layer in a run of its own afterwards; by default for a page of HTML.",
)  # fmt: skip
@click.option(
    "--picture", default="1280x720", show_default=True, metavar="WxH",
    help="Size of the pictures that are resized for the model.",
)  # fmt: skip
@click.option(
    "--mode", type=click.Choice(["stream", "clip"]), default="stream", show_default=True,
    help="How a preset is exported.",
)  # fmt: skip
@click.option(
    "--input-size", type=click.IntRange(min=1), default=224, show_default=True, metavar="PIXELS",
    help="Side of a preset's input.",
)  # fmt: skip
@click.option(
    "--video", type=click.Path(path_type=Path), metavar="FILE",
    help="Frames of a video instead of rendered pictures: decoding is measured, too.",
)  # fmt: skip
@click.option(
    "--estimate", type=click.Choice(sorted(DEVICES)), metavar="DEVICE",
    help=f"Measure nothing: estimate an ONNX file's time on {', '.join(sorted(DEVICES))}.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print results, or a comparison, as JSON.")
@click.option("--markdown", is_flag=True, help="Print a Markdown table.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE",
    help="Write the result: .json, which compare reads, or .html, a page with plots.",
)  # fmt: skip
def command(
    artifacts: tuple[str, ...],
    scenario: str,
    streams: int | None,
    mlperf: bool,
    duration: float | None,
    count: int | None,
    warm_up: float,
    provider: str,
    threads: int | None,
    cuda_graph: bool,
    wait: Waiting,
    zero_copy: bool,
    profile: bool | None,
    picture: str,
    mode: Mode,
    input_size: int,
    video: Path | None,
    estimate: str | None,
    as_json: bool,
    markdown: bool,
    output: Path | None,
) -> int:
    """Measure how long a label takes, from a picture to its label.

    ARTIFACT is an ONNX file, an engine, or the name of a preset, which is exported first with
    random weights (needs torch). "compare" puts results side by side that -o has written,
    with the ratios of their times and whether these are more than noise.

    The machine should be otherwise idle, and a board in the power mode that it will run in.
    """
    if artifacts[0] == _COMPARE:
        if estimate or video or mlperf:
            raise click.UsageError("compare takes results, and none of the options of measuring.")
        return compare([Path(name) for name in artifacts[1:]], output, as_json, markdown)
    with ExitStack() as opened:
        stopping = opened.enter_context(Stopping())
        paths = [_file_of(name, mode, input_size, opened) for name in artifacts]
        if estimate:
            if output:
                raise click.UsageError("--estimate writes no file: use --json > FILE.")
            return print_estimates(paths, estimate, as_json)
        require("cv2", "video")
        setup = _setup(scenario, mlperf, streams, duration, count)
        if video and setup.scenario != "single-stream":
            raise click.UsageError(f"--video is for single-stream, and this is {setup.scenario}.")
        targets = check_output(output, paths) if output else []
        if profile is None:
            profile = output is not None and output.suffix == ".html" and len(paths) == 1
        tuning = Tuning(cuda_graph, wait, zero_copy, timed=True)
        how = _How(provider, threads, tuning, profile, _parse_size(picture), warm_up, video)
        results: list[Result] = []
        try:
            _measure_all(paths, setup, how, results, stopping, show=not (as_json or markdown))
        finally:  # what is measured stays, whatever became of the next one
            stopping.hold()
            try:
                write(results, targets)
            finally:
                tell(results, as_json, markdown)
        return INTERRUPTED if stopping.asked() or results[-1].interrupted else 0


@dataclass(frozen=True)
class _How:
    """Options of every measurement of a call."""

    provider: str
    threads: int | None
    tuning: Tuning
    profile: bool
    picture_hw: tuple[int, int]
    warm_up: float
    video: Path | None


def _file_of(name: str, mode: Mode, input_size: int, temporary: ExitStack) -> Path:
    """The file, or one made of a preset, which goes when the command ends."""
    if Path(name).exists() or not name.startswith(_PRESETS):
        return Path(name)
    require("torch", "export")
    from effvit_edge.export import export_onnx, random_preset

    folder = temporary.enter_context(tempfile.TemporaryDirectory(prefix="effvit-edge-"))
    path = Path(folder) / f"{name}.onnx"
    model, card = random_preset(name, mode, input_size=input_size)
    export_onnx(model, card, path, mode=mode)
    return path


def _measure_all(
    paths: Sequence[Path],
    setup: Setup,
    how: _How,
    results: list[Result],
    stopping: Stopping,
    *,
    show: bool,
) -> None:
    """One after another into ``results``; an interruption ends it, with what there is."""
    for path in paths:
        with _telling(path, setup):
            results.append(_measure(path, setup, how, stopping))
            if how.profile and not stopping.asked():
                results[-1] = _with_layers(results[-1], path, how, stopping)
        if show:
            show_result(results[-1])
        if stopping.asked() or results[-1].interrupted:
            break
        stopping.release()


def _setup(
    scenario: str, mlperf: bool, streams: int | None, duration: float | None, count: int | None
) -> Setup:
    from effvit_edge.bench import scenarios

    if mlperf and scenario != "single-stream":
        raise click.UsageError(f"--mlperf is a single-stream run, and this is {scenario}.")
    if scenario == "multi-stream" and streams is None:
        streams = 4
    name = "mlperf" if mlperf else scenario
    try:
        return scenarios.setup(name, streams, duration, count)  # type: ignore[arg-type]
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error


def _measure(path: Path, setup: Setup, how: _How, stopping: Stopping) -> Result:
    from effvit_edge.bench.run import Job, run
    from effvit_edge.cli.session import open_model
    from effvit_edge.runtime.open import default_threads

    with open_model(path, how.provider, how.threads, tuning=how.tuning) as session:
        threads = how.threads or default_threads()
        job = Job(path, session, setup, threads, how.picture_hw, how.video)
        return run(job, warm_up_seconds=how.warm_up, stop=stopping)


def _with_layers(result: Result, path: Path, how: _How, stopping: Stopping) -> Result:
    """The same with its layers' times; whatever happens to these, the result is kept."""
    stopping.release()
    try:
        found = replace(result, layers=_layers(path, how))
    except KeyboardInterrupt:
        return _noted(result, "interrupted before layers were timed", interrupted=True)
    except Exception as error:  # of any library; a measurement is worth more than its profile
        return _noted(result, f"layers could not be timed: {str(error).rstrip('.')}")
    finally:
        stopping.hold()
    return found if found.layers else _noted(result, "what runs the model tells no layers' times")


def _noted(result: Result, note: str, *, interrupted: bool = False) -> Result:
    return replace(result, notes=(*result.notes, note), interrupted=interrupted)


def _layers(path: Path, how: _How) -> tuple[LayerTime, ...]:
    """Of a session of its own, opened when the measured one has given its memory back."""
    from effvit_edge.bench.layers import profile_layers
    from effvit_edge.cli.session import open_model

    tuning = replace(how.tuning, timed=False, profiled=True)
    with open_model(path, how.provider, how.threads, self_test=False, tuning=tuning) as session:
        return profile_layers(session)


def _parse_size(text: str) -> tuple[int, int]:
    """``1280x720`` to ``(720, 1280)``."""
    found = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", text)
    if found is None or max(int(side) for side in found.groups()) > _LARGEST:
        raise InputError(
            f"--picture takes WIDTHxHEIGHT, for example 1280x720, up to {_LARGEST}, not '{text}'."
        )
    return int(found[2]), int(found[1])


@contextmanager
def _telling(path: Path, setup: Setup) -> Iterator[None]:
    """What goes on, on a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    console = Console(stderr=True)
    limit = setup.limits.seconds
    words = f" for {limit:.0f} s" if limit else ""
    told = f"measuring {path.name}{words}: {setup.explained}"
    with console.status(told, refresh_per_second=_REFRESHES):  # more would be measured, too
        yield
