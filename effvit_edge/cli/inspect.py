"""``effvit-edge inspect``: what an artifact is. Needs neither torch nor onnx nor TensorRT."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import click

from effvit_edge.cli.inspect_text import Facts, describe
from effvit_edge.cli.lineage import CARD_FILE, WEIGHTS_FILE, find_ancestors
from effvit_edge.core.attention_op import DOMAIN
from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import InputError
from effvit_edge.core.files import sha256_file
from effvit_edge.core.onnx_header import OnnxHeader, TensorInfo, elements, read_onnx_header
from effvit_edge.core.onnx_layers import summarize_layers
from effvit_edge.runtime.graph import CARD_KEY
from effvit_edge.runtime.kinds import is_plan
from effvit_edge.runtime.sidecar import read_plan, read_sidecar

_ELEMENT_BYTES = {"float16": 2, "uint8": 1, "int8": 1, "float64": 8, "int64": 8}
_SAFETENSORS_TYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64"}


@click.command()
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object with everything.")
def command(artifact: Path, as_json: bool) -> None:
    """Show what a checkpoint, an ONNX file or an engine is.

    Its card, size, inputs and outputs, layers with their precision and multiply-accumulates (MACs),
    the state of a stream, and the files it was made from, looked for beside it.
    """
    facts = _inspect(artifact)
    if as_json:
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    for line in describe(facts):
        click.echo(line)


def _inspect(artifact: Path) -> Facts:
    if artifact.is_dir():
        return _inspect_folder(artifact)
    if not artifact.exists():
        raise InputError(f"There is no file {artifact}.")
    if not artifact.is_file():
        raise InputError(f"{artifact} is no regular file. Give a checkpoint, an ONNX file or plan.")
    return _inspect_plan(artifact) if is_plan(artifact) else _inspect_onnx(artifact)


def _inspect_onnx(path: Path) -> Facts:
    header = _read_header(path)
    if CARD_KEY not in header.metadata:
        raise InputError(
            f"{path} has no model card, so it was not made by this package. "
            "Export the checkpoint with: effvit-edge export."
        )
    card = ModelCard.from_json(header.metadata[CARD_KEY], source=str(path))
    verify = path.with_name(f"{path.stem}.verify.npz")
    return {
        **_of_file("onnx", path, sha256_file(path), card),
        "ir_version": header.ir_version,
        "opsets": header.opsets,
        "weights": header.weight_elements,
        **_of_graph(header),
        "ops": header.ops,
        "verify": str(verify) if verify.is_file() else None,
    }


def _of_file(kind: str, path: Path, digest: str, card: ModelCard) -> Facts:
    """What every artifact has."""
    return {
        "kind": kind,
        "path": str(path),
        "size_bytes": path.stat().st_size,
        "sha256": digest,
        "card": dataclasses.asdict(card),
        "ancestors": [dataclasses.asdict(found) for found in find_ancestors(path, card)],
    }


def _of_graph(header: OnnxHeader) -> Facts:
    """What a graph does, the same for the engine that is built of it."""
    summary = summarize_layers(header)
    states = [tensor for tensor in header.inputs if tensor.name.startswith("state_")]
    return {
        "inputs": [dataclasses.asdict(tensor) for tensor in header.inputs],
        "outputs": [dataclasses.asdict(tensor) for tensor in header.outputs],
        "state_bytes": sum(_bytes(tensor) for tensor in states),
        "attention": _attention(header),
        "layers": [dataclasses.asdict(layer) for layer in summary.layers],
        "macs": summary.macs,
        "quantize_nodes": summary.quantize_nodes,
        "dequantize_nodes": summary.dequantize_nodes,
    }


def _attention(header: OnnxHeader) -> str:
    own = {name for name in header.ops if name.startswith(f"{DOMAIN}::")}
    if not own:
        return "native"
    return "operator with a body" if own <= header.functions else "plugin"


def _read_header(path: Path) -> OnnxHeader:
    try:
        return read_onnx_header(path)
    except InputError as error:
        if path.suffix == ".onnx":
            raise
        raise InputError(
            f"{path} is no ONNX file. Give one that effvit-edge export wrote, an engine, or the "
            "folder that effvit-edge train wrote."
        ) from error


def _bytes(tensor: TensorInfo) -> int:
    return elements(tensor) * _ELEMENT_BYTES.get(tensor.dtype, 4)


def _inspect_plan(path: Path) -> Facts:
    sidecar = read_sidecar(path)
    read_plan(path, sidecar)
    build = json.loads(sidecar.to_json())
    for known in ("card", "schema_version", "plan_sha256", "plan_bytes"):
        del build[known]
    facts = {**_of_file("engine", path, sidecar.plan_sha256, sidecar.card), "engine": build}
    parent = facts["ancestors"][0]["path"] if facts["ancestors"] else None
    # the plan itself tells only TensorRT what it does; its ONNX file says the same
    return facts if parent is None else {**facts, **_of_graph(read_onnx_header(Path(parent)))}


def _inspect_folder(folder: Path) -> Facts:
    found = [
        path for path in (folder, folder / "best", folder / "last") if (path / CARD_FILE).is_file()
    ]
    if not found:
        raise InputError(
            f"{folder} holds no checkpoint: there is no {CARD_FILE}. "
            "Give an ONNX file, an engine, or the folder that effvit-edge train wrote."
        )
    path = found[0]
    try:
        text = (path / CARD_FILE).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path / CARD_FILE} is not text: {error}.") from error
    card = ModelCard.from_json(text, source=str(path / CARD_FILE))
    tensors = _safetensors_header(path / WEIGHTS_FILE)
    digest = sha256_file(path / WEIGHTS_FILE)
    if digest != card.provenance.get("weights_sha256"):
        raise InputError(
            f"{path / WEIGHTS_FILE} is not the file that {CARD_FILE} names: its sha256 is "
            f"{digest[:12]}…. Restore both from the same training run."
        )
    return {
        **_of_file("checkpoint", path / WEIGHTS_FILE, digest, card),
        "path": str(path),
        "tensors": len(tensors),
        "weights": _count_elements(tensors),
    }


def _safetensors_header(path: Path) -> dict[str, dict[str, Any]]:
    """The table at the start of a safetensors file: 8 bytes of length, then JSON."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > path.stat().st_size:
                raise ValueError("it is cut off")
            table: dict[str, dict[str, Any]] = json.loads(file.read(length))
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing.") from error
    except ValueError as error:
        raise InputError(f"{path} cannot be read as safetensors: {error}.") from error
    table.pop("__metadata__", None)
    return table


def _count_elements(tensors: dict[str, dict[str, Any]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for tensor in tensors.values():
        dtype = _SAFETENSORS_TYPES.get(tensor["dtype"], str(tensor["dtype"]))
        counts[dtype] = counts.get(dtype, 0) + math.prod(tensor["shape"])
    return counts
