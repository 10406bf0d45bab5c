"""``effvit-edge export``: a checkpoint, a preset or an ONNX file as an ONNX file or an engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from effvit_edge.cli.attention import CHOICES
from effvit_edge.cli.export_request import Request
from effvit_edge.cli.export_text import Account, headline, next_line
from effvit_edge.cli.finite import FiniteRange
from effvit_edge.core.card import MODES, PRECISIONS


@click.command()
@click.argument("artifact", metavar="CHECKPOINT|PRESET|FILE.onnx")
@click.option(
    "--mode",
    type=click.Choice(MODES),
    help="stream labels each frame, clip a whole clip.  [default: as the checkpoint; stream]",
)
@click.option(
    "--format",
    "form_of_file",
    type=click.Choice(["onnx", "engine"]),
    default="onnx",
    show_default=True,
    help="engine: for TensorRT on this device; its ONNX file is kept beside it.",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Of the graph, and so of its engine. INT8 is for dense layers; the rest of that graph is "
    "FP16.  [default: as the ONNX file; fp32]",
)
@click.option("--batch", type=click.IntRange(min=1), help="A leading axis for several cameras.")
@click.option(
    "--attention",
    type=click.Choice(CHOICES),
    default="native",
    show_default=True,
    help="Plain operators; one operator, which only TensorRT with the plugin runs; auto: what was "
    "measured to be faster on this device; or measure it now, by an engine of each.",
)
@click.option(
    "--calibrate",
    metavar="DATA",
    help="INT8: footage to find ranges on: a folder of classes, a CSV, a prepared folder, a recipe "
    "or 'motion' (rendered).",
)
@click.option(
    "--calibrate-where", multiple=True, metavar="COLUMN=VALUE", help="Rows of that CSV, if some."
)
@click.option(
    "--calibrate-clips",
    type=click.IntRange(min=1),
    default=96,
    show_default=True,
    help="Sequences of it to use at most, balanced over the classes; it takes 24 and more.",
)
@click.option(
    "--calibration-method",
    "method",
    type=click.Choice(["channels", "minmax", "percentile", "entropy"]),
    default="channels",
    show_default=True,
    help="Which values INT8 holds: all, with the channels of a tensor made alike; with those as "
    "they are all, all but 1 in 10,000, or those that tell most.",
)
@click.option(
    "--verify",
    metavar="DATA",
    help="Labelled data to compare accuracy on, before and after; of FP16, INT8 and engines.",
)
@click.option(
    "--verify-where", multiple=True, metavar="COLUMN=VALUE", help="Rows of that CSV, if some."
)
@click.option("--fp32-attention", is_flag=True, help="FP16 and INT8: keep the attention in FP32.")
@click.option(
    "--auto-exclude",
    is_flag=True,
    help="FP16 and INT8: keep the worst nodes in higher precision until the gate holds.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the choice of footage.",
)
@click.option(
    "--limit-relative",
    type=FiniteRange(min=0),
    help="Largest difference of a logit, as a part of the largest; this and the next are of "
    "reduced graphs and of engines.  [fp32 0.01, fp16 0.03, int8 0.25]",
)
@click.option(
    "--limit-cosine",
    type=FiniteRange(max=1),
    help="Least cosine.  [fp32 0.9999, fp16 0.999, int8 0.95]",
)
@click.option(
    "--limit-agreement",
    type=FiniteRange(0, 1),
    help="Least share of answers with the same label; of engines only if given.  [fp16 0.98, int8 "
    "0.97]",
)
@click.option(
    "--limit-drop",
    type=FiniteRange(0, 1),
    help="Largest loss of accuracy on --verify data.  [fp32 and fp16 0.01, int8 0.03]",
)
@click.option("--num-classes", type=click.IntRange(min=1), help="Presets only: labels.")
@click.option("--num-frames", type=click.IntRange(min=1), help="Presets only: clip or window.")
@click.option(
    "--input-size", type=click.IntRange(min=32), help="Presets only: pixels a side.  [224]"
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="FILE.onnx, or FILE.plan of an engine, to write.",
)
@click.option(
    "--rebuild", is_flag=True, help="Build the engine although there is one of the same inputs."
)
@click.option(
    "--weak-precision",
    type=click.Choice(["fp16", "int8"]),
    help="Engines of TensorRT 10 only, for comparing with: TensorRT chooses where to use a lower "
    "precision, instead of the ONNX file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON report.")
def command(as_json: bool, **options: Any) -> None:
    """Export a checkpoint folder or a preset, with random weights, to ONNX or to an engine.

    The ONNX file takes uint8 RGB pixels, carries its model card, and is compared with the network
    before it gets its name. FILE.verify.npz beside it holds clips and the network's answers, for
    checks on a device without torch.

    A float32 ONNX file becomes one in FP16 or INT8, and any ONNX file a TensorRT engine on its
    device, without torch. Each is compared with what it was made from; where the answers differ too
    much, nothing is written and the exit code is 4.

    \b
    effvit-edge export runs/mine -o mine.onnx
    effvit-edge export mine.onnx --precision fp16 -o mine16.onnx
    effvit-edge export runs/mine --precision fp16 --format engine -o mine.plan
    """  # noqa: D301 - click's mark against wrapping is the character itself
    from effvit_edge.cli.export_plan import make_plan
    from effvit_edge.cli.export_steps import carry_out

    request = Request(**options)
    plan = make_plan(request)
    accounts: list[Account] = []
    tell = accounts.append if as_json else _show
    if not as_json:
        click.echo(
            headline(request.artifact, plan.start.card, plan.mode, plan.precision, request.batch)
        )
    written = carry_out(plan, tell)
    if as_json:
        click.echo(json.dumps(_nested(accounts), indent=2))
    else:
        click.echo(next_line(written.path, runs=written.runs, needs_engine=written.needs_engine))


def _show(account: Account) -> None:
    click.echo("\n".join([account.title, *account.lines]))


def _nested(accounts: list[Account]) -> dict[str, object]:
    """The last step's record, with those before it within."""
    found: dict[str, object] = {}
    for account in accounts:
        found = {**account.record, "made_from": found} if found else account.record
    return found
