"""``effvit-edge export``: a checkpoint or a preset as an ONNX file that was held to it."""

from __future__ import annotations

import dataclasses
import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from effvit_edge.core.card import MODES, Mode, ModelCard
from effvit_edge.core.errors import InputError
from effvit_edge.core.optional import require

if TYPE_CHECKING:
    from effvit_edge.export import ExportReport
    from effvit_edge.nn import EfficientViT

_DEFAULT_SIZE = 224


@click.command()
@click.argument("artifact", metavar="CHECKPOINT|PRESET")
@click.option(
    "--mode",
    type=click.Choice(MODES),
    help="stream labels each frame, clip a whole clip.  [default: as the checkpoint; stream]",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32"]),
    default="fp32",
    show_default=True,
    help="Of the graph.",
)
@click.option("--batch", type=click.IntRange(min=1), help="A leading axis for several cameras.")
@click.option("--num-classes", type=click.IntRange(min=1), help="Presets only: labels.")
@click.option("--num-frames", type=click.IntRange(min=1), help="Presets only: clip or window.")
@click.option(
    "--input-size", type=click.IntRange(min=32), help="Presets only: pixels a side.  [224]"
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="FILE.onnx to write."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON report.")
def command(
    artifact: str,
    mode: Mode | None,
    precision: str,
    batch: int | None,
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
    """
    for module in ("torch", "onnx", "onnxscript", "onnxruntime", "cv2"):
        require(module, "export")
    from effvit_edge import nn
    from effvit_edge.export import FP32_LIMIT, check_output, export_onnx

    check_output(output)
    options = {"num_classes": num_classes, "num_frames": num_frames, "input_size": input_size}
    if artifact in nn.list_models():
        model, card = _preset(artifact, mode or "stream", options)
    else:
        model, card = _checkpoint(artifact, options)
    mode = mode or card.mode
    if not as_json:
        click.echo(_announcement(artifact, card, mode, precision, batch))
    report = export_onnx(model, card, output, mode=mode, batch=batch)
    if as_json:
        click.echo(json.dumps(_as_json(report, FP32_LIMIT), indent=2))
        return
    for line in _summary(report, FP32_LIMIT, batch):
        click.echo(line)


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
    if path.is_file() and path.suffix == ".onnx":
        raise InputError(
            f"{artifact} is exported already: see it with effvit-edge inspect {artifact}. To "
            "export in another way, give the checkpoint folder that it was made from."
        )
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


def _summary(report: ExportReport, limit: float, batch: int | None) -> list[str]:
    gate = report.comparison
    inspect = f"effvit-edge inspect {report.path}"
    label = f"effvit-edge label VIDEO --model {report.path}"
    return [
        f"  graph  {report.nodes} nodes, {report.size_bytes / 1e6:.1f} MB",
        f"  gate   {gate.answers} answers on rendered clips, against torch: "
        f"max difference {gate.max_abs:.1e} (limit {limit:.0e}), mean {gate.mean_abs:.1e}, "
        f"cosine {gate.cosine:.6f}, same label {gate.top1_agreement:.0%}",
        f"  wrote  {report.path} and {report.verify_path.name}",
        f"Next: {inspect if batch or report.card.mode == 'clip' else label}",
    ]


def _as_json(report: ExportReport, limit: float) -> dict[str, object]:
    return {
        "path": str(report.path),
        "verify_path": str(report.verify_path),
        "size_bytes": report.size_bytes,
        "nodes": report.nodes,
        "gate": {**dataclasses.asdict(report.comparison), "limit_max_abs": limit},
        "card": dataclasses.asdict(report.card),
    }
