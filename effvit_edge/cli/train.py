"""``effvit-edge train``: one recipe, one run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from effvit_edge.core.errors import INTERRUPTED, EnvironmentFault, InputError
from effvit_edge.core.optional import require

if TYPE_CHECKING:
    import torch

    from effvit_edge.train.resume import FinishedRun


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key of the recipe, such as optim.lr=0.001; may be given several times.",
)
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint of this run.")
@click.option("--output", metavar="DIR", help="Where results go; the recipe's output.folder else.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(
    context: click.Context,
    recipe: Path,
    overrides: tuple[str, ...],
    resume: bool,
    output: str | None,
    as_json: bool,
) -> None:
    """Train a network as RECIPE (a YAML file; see models/) says.

    The run's folder receives recipe.yaml, metrics.jsonl, curves.png, evaluation.json, confusion.png
    and the checkpoint in last/. Ctrl-C leaves a checkpoint; --resume goes on from it exactly.

    On several GPUs or machines: torchrun --nproc-per-node 8 -m effvit_edge train RECIPE. The
    recipe's batch is that of all of them together.
    """
    for module in ("torch", "safetensors", "yaml", "cv2", "av", "matplotlib"):
        require(module, "train")
    from effvit_edge.train.distributed import ToldElsewhere

    if output is not None:
        overrides = (*overrides, f"output.folder={json.dumps(output)}")
    try:
        run = _train(context, recipe, overrides, resume)
    except ToldElsewhere as error:
        context.exit(error.exit_code)
    if run is not None:
        _tell(run, as_json)


def _train(
    context: click.Context, recipe: Path, overrides: tuple[str, ...], resume: bool
) -> FinishedRun | None:
    """The finished run; None in processes that leave it to another to tell."""
    from effvit_edge.train.distributed import join_group
    from effvit_edge.train.loop import Trainer
    from effvit_edge.train.recipe import load_recipe
    from effvit_edge.train.resume import find_finished

    with ExitStack() as stack:
        with _told_once_a_machine():
            parsed = load_recipe(recipe, overrides)
        device = _own_device(parsed.speed.device)
        with _told_once_a_machine():
            group = stack.enter_context(join_group(device))
        folder = Path(parsed.output.folder)
        run = group.decided(lambda: find_finished(folder, parsed)) if resume else None
        trainer = None if run else Trainer(parsed, resume=resume, group=group)
        if run is not None and group.leads:
            _tell_finished(run)
        if trainer is not None:
            try:
                run = trainer.run()
            except KeyboardInterrupt:
                if group.leads:
                    click.echo(_stopped(folder), err=True)
                context.exit(INTERRUPTED)
        return run if group.leads else None


@contextmanager
def _told_once_a_machine() -> Iterator[None]:
    """Around what every process meets alike: one of each machine tells what is wrong."""
    from effvit_edge.train.distributed import ToldElsewhere, local_rank

    try:
        yield
    except (InputError, EnvironmentFault) as error:
        if local_rank() > 0:
            raise ToldElsewhere(error) from error
        raise


def _own_device(name: str) -> torch.device:
    """This process's device; one that another process of the machine lacks too is told once."""
    from effvit_edge.train.build import choose_device
    from effvit_edge.train.distributed import local_rank

    try:
        return choose_device(name, local_rank())
    except EnvironmentFault:
        with _told_once_a_machine():
            choose_device(name)
        raise


def _tell_finished(run: FinishedRun) -> None:
    """Say that there is nothing to do, and what the run told while it trained."""
    from effvit_edge.data.failures import describe_failures

    click.echo(f"{run.folder} is finished already: nothing was trained.", err=True)
    if run.failures:
        click.echo(describe_failures(run.failures), err=True)


def _tell(run: FinishedRun, as_json: bool) -> None:
    from effvit_edge.cli.progress import counted
    from effvit_edge.train.metrics import describe

    if as_json:
        click.echo(json.dumps(_as_json(run), indent=2))
        return
    click.echo(f"{run.folder}: {counted(run.steps, 'step')}, {describe(run.figures)}.")
    if run.failures:
        count = len(run.failures)
        verb = "was" if count == 1 else "were"
        click.echo(f"{counted(count, 'video')} {verb} left out; metrics.jsonl says why.")
    if run.skipped_steps:
        click.echo(f"{run.skipped_steps} steps were skipped for a loss that was not finite.")
    click.echo(f"Next: effvit-edge export {shlex.quote(str(run.folder))} -o model.onnx")


def _stopped(folder: Path) -> str:
    from effvit_edge.train.resume import saved_step

    step = saved_step(folder)
    if step is None:
        return "Stopped before there was a checkpoint: nothing was saved."
    return (
        f"Stopped at step {step}; the checkpoint is in {folder / 'last'}. "
        "Go on with the same command and --resume."
    )


def _as_json(run: FinishedRun) -> dict[str, object]:
    return {
        "folder": str(run.folder),
        "steps": run.steps,
        "skipped_steps": run.skipped_steps,
        **run.figures,
        "failures": list(run.failures),
    }
