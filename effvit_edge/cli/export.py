"""``effvit-edge export``: a checkpoint, a preset or an ONNX file as an ONNX file held to it."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from effvit_edge.cli.attention import CHOICES, choose_attention
from effvit_edge.cli.export_reduce import Reduction, reduce, refuse_idle_options
from effvit_edge.cli.export_text import export_lines, export_record
from effvit_edge.core.card import MODES, PRECISIONS, Mode, ModelCard, Precision
from effvit_edge.core.errors import InputError
from effvit_edge.core.optional import require

if TYPE_CHECKING:
    from effvit_edge.export.attention_body import Attention
    from effvit_edge.export.convert import Parent
    from effvit_edge.export.precision.calibrate import Method
    from effvit_edge.nn import EfficientViT

_DEFAULT_SIZE = 224
_ONNX = ".onnx"


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
    help="engine: a TensorRT engine for this device, of an ONNX file, as it is.",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="fp32",
    show_default=True,
    help="Of the graph. INT8 is for dense layers; the rest of that graph is FP16.",
)
@click.option("--batch", type=click.IntRange(min=1), help="A leading axis for several cameras.")
@click.option(
    "--attention",
    type=click.Choice(CHOICES),
    default="native",
    show_default=True,
    help="Plain operators; one operator, which only TensorRT with the plugin runs; or auto: what "
    "was measured to be faster on this device.",
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
    help="Sequences of it to use at most, balanced over the classes.",
)
@click.option(
    "--calibration-method",
    "method",
    type=click.Choice(["minmax", "percentile", "entropy"]),
    default="percentile",
    show_default=True,
    help="Which values INT8 holds: all, all but 1 in 10,000, or those that tell most.",
)
@click.option(
    "--verify", metavar="DATA", help="FP16 and INT8: labelled data to compare accuracy on."
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
@click.option("--seed", default=0, show_default=True, help="Of the choice of footage.")
@click.option(
    "--limit-relative",
    type=click.FloatRange(min=0),
    help="Largest difference of a logit, as a part of the largest.  [fp16 0.03, int8 0.25]",
)
@click.option(
    "--limit-cosine", type=click.FloatRange(max=1), help="Least cosine.  [fp16 0.999, int8 0.95]"
)
@click.option(
    "--limit-agreement",
    type=click.FloatRange(0, 1),
    help="Least share of answers with the same label.  [fp16 0.98, int8 0.97]",
)
@click.option(
    "--limit-drop",
    type=click.FloatRange(0, 1),
    help="Largest loss of accuracy on --verify data.  [fp16 0.01, int8 0.03]",
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
@click.option("--json", "as_json", is_flag=True, help="Print a JSON report.")
def command(
    artifact: str,
    mode: Mode | None,
    form_of_file: str,
    precision: Precision,
    batch: int | None,
    attention: str,
    calibrate: str | None,
    calibrate_where: tuple[str, ...],
    calibrate_clips: int,
    method: Method,
    verify: str | None,
    verify_where: tuple[str, ...],
    fp32_attention: bool,
    auto_exclude: bool,
    seed: int,
    limit_relative: float | None,
    limit_cosine: float | None,
    limit_agreement: float | None,
    limit_drop: float | None,
    num_classes: int | None,
    num_frames: int | None,
    input_size: int | None,
    output: Path,
    as_json: bool,
) -> None:
    """Export a checkpoint folder to ONNX, or a preset's name with random weights.

    The file takes uint8 RGB pixels, carries its model card, and is compared with the network in
    ONNX Runtime before it gets its name. FILE.verify.npz beside it holds clips and the network's
    answers, for checks on a device without torch.

    A float32 ONNX file becomes one in FP16 or INT8, without torch, and is held to the former. With
    --format engine an ONNX file of any precision becomes a TensorRT engine on its device.
    """
    limits = {
        "relative": limit_relative,
        "cosine": limit_cosine,
        "agreement": limit_agreement,
        "drop": limit_drop,
    }
    reduction = Reduction(
        calibrate,
        calibrate_where,
        calibrate_clips,
        method,
        verify,
        verify_where,
        fp32_attention,
        auto_exclude,
        seed,
        limits,
    )
    refuse_idle_options(precision, reduction)
    if form_of_file == "engine":
        _build_engine(artifact, precision, output, as_json)
        return
    for module in ("onnx", "onnxruntime", "cv2"):
        require(module, "export")
    from effvit_edge.export.output import check_output

    check_output(output)
    options = {"num_classes": num_classes, "num_frames": num_frames, "input_size": input_size}
    if Path(artifact).suffix == _ONNX and Path(artifact).is_file():
        parent = _exported(artifact, precision, mode, batch, attention, output, options)
    else:
        for module in ("torch", "onnxscript"):
            require(module, "export")
        from effvit_edge import nn

        if artifact in nn.list_models():
            model, card = _preset(artifact, mode or "stream", options)
        else:
            model, card = _checkpoint(artifact, options)
        mode = mode or card.mode
        if not as_json:
            click.echo(_announcement(artifact, card, mode, precision, batch))
        form, said = choose_attention(attention)
        if said and not as_json:
            click.echo(said)
        if precision == "fp32":
            _export(model, card, mode, batch, form, output, as_json)
            return
        from effvit_edge.export import build_onnx
        from effvit_edge.export.convert import as_parent

        exported = build_onnx(model, card, mode=mode, batch=batch, attention=form)
        parent = as_parent(exported, artifact)
    assert precision != "fp32"
    reduce(parent, precision, reduction, output, as_json)


def _build_engine(artifact: str, precision: Precision, output: Path, as_json: bool) -> None:
    """An engine of an ONNX file, in the precision that the file has."""
    from effvit_edge.cli.session import build_with_progress, engine_lines

    path = Path(artifact)
    if path.suffix != _ONNX or not path.is_file() or precision != "fp32":
        raise InputError(
            f"--format engine builds an ONNX file as it is, in the precision that it has. Export "
            f"{artifact} to ONNX first, with --precision there, and build that file."
        )
    report = build_with_progress(path, output)
    if as_json:
        sidecar = report.sidecar
        record = {"path": str(report.path), "built": report.built, "bytes": sidecar.plan_bytes}
        click.echo(json.dumps({**record, "notes": list(report.notes)}, indent=2))
    elif not report.built:
        for line in engine_lines(report):
            click.echo(line)


def _export(
    model: EfficientViT,
    card: ModelCard,
    mode: Mode,
    batch: int | None,
    attention: Attention,
    output: Path,
    as_json: bool,
) -> None:
    from effvit_edge.export import FP32_LIMIT, export_onnx

    report = export_onnx(model, card, output, mode=mode, batch=batch, attention=attention)
    if as_json:
        click.echo(json.dumps(export_record(report, FP32_LIMIT), indent=2))
        return
    for line in export_lines(report, FP32_LIMIT):
        click.echo(line)


def _exported(
    artifact: str,
    precision: Precision,
    mode: Mode | None,
    batch: int | None,
    attention: str,
    output: Path,
    options: dict[str, int | None],
) -> Parent:
    if precision == "fp32":
        raise InputError(
            f"{artifact} is exported already: see it with effvit-edge inspect {artifact}. To "
            "reduce its precision add --precision fp16 or int8; to export in another way, give "
            "the checkpoint folder that it was made from."
        )
    sizes = (mode, batch, *options.values())
    if attention != "native" or any(value is not None for value in sizes):
        raise InputError(
            f"{artifact} is exported already, and keeps its mode, sizes and attention. Leave those "
            "options out, or give the checkpoint folder that it was made from."
        )
    if output.exists() and output.samefile(artifact):
        raise InputError(f"{output} is the file that is converted. Give another name.")
    from effvit_edge.export.convert import read_parent

    return read_parent(Path(artifact))


def _preset(
    name: str, mode: Mode, options: dict[str, int | None]
) -> tuple[EfficientViT, ModelCard]:
    from effvit_edge.export import random_preset

    preset = random_preset(
        name,
        mode,
        num_classes=options["num_classes"],
        num_frames=options["num_frames"],
        input_size=options["input_size"] or _DEFAULT_SIZE,
    )
    click.secho(
        f"WARNING: {name} is a preset, so the weights are RANDOM: the file is for measuring speed "
        "and its labels mean nothing.",
        fg="yellow",
        err=True,
    )
    return preset


def _checkpoint(artifact: str, options: dict[str, int | None]) -> tuple[EfficientViT, ModelCard]:
    require("safetensors", "export")
    from effvit_edge import nn
    from effvit_edge.train.checkpoint import load_model

    path = Path(artifact)
    if not path.exists():
        close = difflib.get_close_matches(artifact, nn.list_models(), n=1)
        hint = f"Did you mean the preset {close[0]}?" if close else "See: effvit-edge models."
        raise InputError(f"{artifact} is neither a checkpoint folder nor a preset. {hint}")
    if path.is_file():
        raise InputError(f"{artifact} is a file; give the folder that effvit-edge train wrote.")
    for name, value in options.items():
        if value is not None:
            option = "--" + name.replace("_", "-")
            raise InputError(f"{option} is for presets: {artifact} was trained with its own.")
    model, card = load_model(path)
    return model, card


def _announcement(
    artifact: str, card: ModelCard, mode: Mode, precision: str, batch: int | None
) -> str:
    spec = card.preprocess
    cameras = f", batch {batch}" if batch else ""
    return (
        f"Exporting {artifact} ({card.variant}): {mode}, {spec.height}x{spec.width} pixels, "
        f"{card.num_classes} labels, {precision}{cameras}"
    )
