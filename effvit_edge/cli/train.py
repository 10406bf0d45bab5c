"""``effvit-edge train``: one recipe, one run."""

from __future__ import annotations

import json
from pathlib import Path

import click

from effvit_edge.core.optional import require


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
def command(
    recipe: Path, overrides: tuple[str, ...], resume: bool, output: str | None, as_json: bool
) -> None:
    """Train a network as RECIPE (a YAML file; see models/) says.

    The run's folder receives recipe.yaml, metrics.jsonl, evaluation.json, confusion.png and the
    checkpoint in last/. Ctrl-C leaves a checkpoint; --resume goes on from it exactly.
    """
    for module in ("torch", "safetensors", "yaml", "cv2", "av", "matplotlib"):
        require(module, "train")
    from effvit_edge.data.videos import describe_failures
    from effvit_edge.train.loop import Trainer
    from effvit_edge.train.recipe import load_recipe

    if output is not None:
        overrides = (*overrides, f"output.folder={json.dumps(output)}")
    trainer = Trainer(load_recipe(recipe, overrides), resume=resume)
    result = trainer.run()
    if result.failures:
        click.echo(describe_failures(result.failures), err=True)
    figures = {
        "folder": str(result.folder),
        "steps": result.steps,
        "skipped_steps": result.skipped_steps,
        **result.report.summary(),
        "failures": list(result.failures),
    }
    if as_json:
        click.echo(json.dumps(figures, indent=2))
        return
    click.echo(f"{result.folder}: {result.steps} steps, {result.report.sentence()}.")
    if result.skipped_steps:
        click.echo(f"{result.skipped_steps} steps were skipped for a loss that was not finite.")
    click.echo(f"Next: effvit-edge export {result.folder} -o model.onnx")
