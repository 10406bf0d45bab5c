"""``effvit-edge prepare``: decode a set once, so that training never waits; or check a download."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from effvit_edge.core.errors import InputError
from effvit_edge.core.optional import require

if TYPE_CHECKING:
    from effvit_edge.data.prepare.layout import Form
    from effvit_edge.data.prepare.manifest import ListedSet, Manifest
    from effvit_edge.train.recipe import Recipe
    from effvit_edge.train.sections import VideosData

_NAMED_FAILURES = 5
_ONLY_PREPARING = ("output", "short_side", "max_fps", "lead_s")
_ONLY_NAMED = ("root", "annotations", "given")


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path), required=False)
@click.option("--output", type=click.Path(path_type=Path), help="Folder of the prepared clips.")
@click.option(
    "--short-side",
    type=click.IntRange(min=16),
    metavar="PX",
    help="Pixels of the short side; 1.43 times the recipe's input else. Nothing is scaled up.",
)
@click.option(
    "--max-fps",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Keep at most so many frames a second; all of them else.",
)
@click.option(
    "--lead-s",
    type=click.FloatRange(min=0),
    metavar="S",
    help="Seconds kept before each segment; the recipe's input.lead_s else.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes; one for each processor else.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key of the recipe, such as data.root=FOLDER; may be given several times.",
)
@click.option("--check", is_flag=True, help="Check a download instead, and write nothing.")
@click.option("--full", is_flag=True, help="With --check: decode every frame.")
@click.option("--dataset", metavar="NAME", help="With --check: a set by name, without a recipe.")
@click.option("--root", help="With --dataset: the folder of the videos.")
@click.option("--annotations", help="With --dataset: the list or folder of lists, below the root.")
@click.option(
    "--option",
    "given",
    multiple=True,
    metavar="KEY=VALUE",
    help="With --dataset: an option of the set, as docs/datasets.md names them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    recipe: Path | None,
    output: Path | None,
    short_side: int | None,
    max_fps: float | None,
    lead_s: float | None,
    workers: int | None,
    overrides: tuple[str, ...],
    check: bool,
    full: bool,
    dataset: str | None,
    root: str | None,
    annotations: str | None,
    given: tuple[str, ...],
    as_json: bool,
) -> int:
    """Decode the videos of RECIPE once, into shards that training reads without waiting.

    Stopped at any moment, the same command goes on. Exit code 1: some videos could not be
    prepared; they are listed, and left out.

    With --check: count what the recipe's set lists, or the set that --dataset names, and look for
    files that are missing, unreadable, there twice, or in both parts. Exit code 1: some are.
    """
    _refuse_mixed(ctx, check, dataset)
    for module in ("yaml", "cv2", "av"):
        require(module, "train")
    if dataset is not None:
        if recipe is not None:
            raise InputError("Give a recipe or --dataset, not both.")
        source = _named_set(dataset, root, annotations, given)
        return _check(source, full, workers, as_json)
    if recipe is None:
        raise InputError("Give a recipe, such as models/folder.yaml; or --check --dataset NAME.")
    from effvit_edge.train.recipe import load_recipe

    parsed = load_recipe(recipe, overrides)
    source = _recipe_set(parsed)
    if check:
        return _check(source, full, workers, as_json)
    if output is None:
        raise InputError("Give --output, the folder that receives the prepared clips.")
    form = _form(parsed, short_side, max_fps, lead_s)
    return _prepare(recipe, overrides, parsed, source, form, output, workers, as_json)


def _refuse_mixed(ctx: click.Context, check: bool, dataset: str | None) -> None:
    """Refuse options that would be ignored."""

    def refuse(names: tuple[str, ...], sentence: str) -> None:
        for parameter in ctx.command.params:
            source = ctx.get_parameter_source(parameter.name or "")
            if parameter.name in names and source is ParameterSource.COMMANDLINE:
                raise InputError(f"{parameter.opts[0]} {sentence}.")

    if check:
        refuse(_ONLY_PREPARING, "is for preparing, and --check writes nothing")
    else:
        refuse(("full", "dataset"), "is for --check")
    if dataset is None:
        refuse(_ONLY_NAMED, "belongs to --dataset; a recipe says it with --set data.…")
    else:
        refuse(("overrides",), "belongs to a recipe; with --dataset say --option")


def _prepare(
    path: Path,
    overrides: tuple[str, ...],
    recipe: Recipe,
    source: ListedSet,
    form: Form,
    output: Path,
    workers: int | None,
    as_json: bool,
) -> int:
    from effvit_edge.cli.prepare_progress import Bar, prepared_before
    from effvit_edge.data.prepare.run import prepare_set
    from effvit_edge.data.prepare.workers import default_workers

    data = _videos(recipe)
    try:
        with Bar("preparing") as bar:
            manifest = prepare_set(
                source,
                form,
                output,
                workers=workers or default_workers(),
                max_failed_share=data.max_failed_share,
                watcher=bar,
            )
    except KeyboardInterrupt:
        click.echo(f"Stopped; {prepared_before(output)} The same command goes on.", err=True)
        raise
    following = _next_command(path, overrides, data, output)
    if as_json:
        click.echo(json.dumps(_as_json(manifest, output, following), indent=2))
    else:
        _tell(manifest, output, following)
    return 1 if manifest.failures else 0


def _check(source: ListedSet, full: bool, workers: int | None, as_json: bool) -> int:
    from effvit_edge.cli.prepare_check import show
    from effvit_edge.cli.prepare_progress import track_findings
    from effvit_edge.data.prepare.check import check_set
    from effvit_edge.data.prepare.workers import default_workers

    report = check_set(
        source, full=full, workers=workers or default_workers(), track=track_findings
    )
    if as_json:
        tree = {**dataclasses.asdict(report), "sound": report.sound}
        click.echo(json.dumps(tree, indent=2))
    else:
        show(report)
    return 0 if report.sound else 1


def _videos(recipe: Recipe) -> VideosData:
    from effvit_edge.train.sections import VideosData

    if not isinstance(recipe.data, VideosData):
        raise InputError("The recipe renders its data while training; there is nothing to prepare.")
    return recipe.data


def _recipe_set(recipe: Recipe) -> ListedSet:
    from effvit_edge.data.prepare.manifest import ListedSet

    data = _videos(recipe)
    return ListedSet(
        data.set,
        str(Path(data.root).absolute()),
        data.annotations,
        data.options,
        data.train,
        data.eval,
        data.eval_share,
        recipe.seed,
    )


def _named_set(
    name: str, root: str | None, annotations: str | None, given: tuple[str, ...]
) -> ListedSet:
    import yaml

    from effvit_edge.data.prepare.manifest import ListedSet

    if root is None:
        raise InputError("Give --root, the folder of the videos, with --dataset.")
    options: dict[str, Any] = {}
    for text in given:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise InputError(f"--option {text}: expected key=value.")
        options[key] = yaml.safe_load(value)
    return ListedSet(name, str(Path(root).absolute()), annotations, options)


def _form(
    recipe: Recipe, short_side: int | None, max_fps: float | None, lead_s: float | None
) -> Form:
    """What is kept, by default what the recipe can show; less than that is refused."""
    from effvit_edge.data.clips import ROOM
    from effvit_edge.data.prepare.layout import Form

    shape = recipe.input
    longest = max(shape.height, shape.width)
    form = Form(
        short_side if short_side is not None else round(ROOM * longest),
        max_fps,
        lead_s if lead_s is not None else shape.lead_s,
    )
    for name, kept, needed in (
        ("--short-side", form.short_side, longest),
        ("--max-fps", form.max_fps or shape.fps, shape.fps),
        ("--lead-s", form.lead_s, shape.lead_s),
    ):
        if kept < needed:
            raise InputError(f"{name} {kept:g} is less than the recipe shows, {needed:g}.")
    return form


def _next_command(path: Path, overrides: tuple[str, ...], data: VideosData, output: Path) -> str:
    """The command that trains on what was prepared, with the rest of the recipe as it is."""
    from effvit_edge.train.sections import VideosData

    section = {"kind": "videos", "set": "prepared", "root": str(output)}
    defaults = VideosData()
    for name in ("cache_gb", "max_failed_share"):
        if getattr(data, name) != getattr(defaults, name):
            section[name] = getattr(data, name)
    text = ", ".join(f"{key}: {_yaml(value)}" for key, value in section.items())
    kept = [override for override in overrides if not override.strip().startswith("data")]
    options = [part for override in (*kept, f"data={{{text}}}") for part in ("--set", override)]
    return shlex.join(["effvit-edge", "train", str(path), *options])


def _yaml(value: object) -> str:
    """A value for a mapping of one line; text in quotes where it could be read otherwise."""
    text = str(value)
    plain = isinstance(value, str) and all(c.isalnum() or c in "/._-" for c in text)
    return text if plain or not isinstance(value, str) else json.dumps(value)


def _tell(manifest: Manifest, output: Path, following: str) -> None:
    from effvit_edge.cli.prepare_progress import span, volume
    from effvit_edge.cli.progress import counted

    for part, totals in (("train", manifest.train), ("eval", manifest.eval)):
        if totals is not None:
            damaged = f" ({totals.damaged} of damaged videos)" if totals.damaged else ""
            click.echo(
                f"{part}: {counted(totals.segments, 'segment')}{damaged} of "
                f"{span(totals.seconds)} together, {counted(totals.frames, 'frame')}, "
                f"{volume(totals.bytes)} in {counted(totals.shards, 'shard')}"
            )
    for failure in manifest.failures[:_NAMED_FAILURES]:
        click.echo(f"left out: {failure.name} ({failure.part}): {failure.sentence}", err=True)
    more = len(manifest.failures) - _NAMED_FAILURES
    if more > 0:
        click.echo(f"And {more} more are left out; see {output / 'prepared.json'}.", err=True)
    click.echo(f"Next: {following}")


def _as_json(manifest: Manifest, output: Path, following: str) -> dict[str, Any]:
    tree = dataclasses.asdict(manifest)
    wanted = ("form", "train", "eval", "failures")
    return {"folder": str(output), **{name: tree[name] for name in wanted}, "next": following}
