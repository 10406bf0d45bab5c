"""``effvit-edge inspect``: what an artifact is. Needs neither torch nor onnx."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import click

from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import InputError
from effvit_edge.core.files import sha256_file
from effvit_edge.core.onnx_header import OnnxHeader, TensorInfo, read_onnx_header
from effvit_edge.runtime.graph import CARD_KEY

_CARD, _WEIGHTS = "card.json", "model.safetensors"
_ELEMENT_BYTES = {"float16": 2, "uint8": 1, "int8": 1, "float64": 8, "int64": 8}
_SAFETENSORS_TYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64"}
_Facts = dict[str, Any]


@click.command()
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object with everything.")
def command(artifact: Path, as_json: bool) -> None:
    """Show the card, sizes, inputs, outputs and operators of an ONNX file or a checkpoint."""
    facts = _inspect_folder(artifact) if artifact.is_dir() else _inspect_onnx(artifact)
    if as_json:
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    for line in _lines(facts):
        click.echo(line)


def _inspect_onnx(path: Path) -> _Facts:
    header = _read_header(path)
    if CARD_KEY not in header.metadata:
        raise InputError(
            f"{path} has no model card, so it was not made by this package. "
            "Export the checkpoint with: effvit-edge export."
        )
    card = ModelCard.from_json(header.metadata[CARD_KEY], source=str(path))
    verify = path.with_name(f"{path.stem}.verify.npz")
    return {
        "kind": "onnx",
        "path": str(path),
        "size_bytes": path.stat().st_size,
        "sha256": sha256_file(path),
        "card": dataclasses.asdict(card),
        "ir_version": header.ir_version,
        "opsets": header.opsets,
        "weights": header.weight_elements,
        "inputs": [dataclasses.asdict(tensor) for tensor in header.inputs],
        "outputs": [dataclasses.asdict(tensor) for tensor in header.outputs],
        "state_bytes": _state_bytes(header),
        "ops": header.ops,
        "verify": str(verify) if verify.is_file() else None,
    }


def _read_header(path: Path) -> OnnxHeader:
    try:
        return read_onnx_header(path)
    except InputError as error:
        if path.suffix == ".onnx" or not path.is_file():
            raise
        raise InputError(
            f"{path} is no ONNX file. Give one that effvit-edge export wrote, or the folder that "
            "effvit-edge train wrote."
        ) from error


def _state_bytes(header: OnnxHeader) -> int:
    return sum(_bytes(tensor) for tensor in header.inputs if tensor.name.startswith("state_"))


def _bytes(tensor: TensorInfo) -> int:
    sizes = [size for size in tensor.shape if isinstance(size, int)]
    return math.prod(sizes) * _ELEMENT_BYTES.get(tensor.dtype, 4)


def _inspect_folder(folder: Path) -> _Facts:
    found = [
        path for path in (folder, folder / "best", folder / "last") if (path / _CARD).is_file()
    ]
    if not found:
        raise InputError(
            f"{folder} holds no checkpoint: there is no {_CARD}. "
            "Give an ONNX file, or the folder that effvit-edge train wrote."
        )
    path = found[0]
    try:
        text = (path / _CARD).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path / _CARD} is not text: {error}.") from error
    card = ModelCard.from_json(text, source=str(path / _CARD))
    tensors = _safetensors_header(path / _WEIGHTS)
    digest = sha256_file(path / _WEIGHTS)
    if digest != card.provenance.get("weights_sha256"):
        raise InputError(
            f"{path / _WEIGHTS} is not the file that {_CARD} names: its sha256 is {digest[:12]}…. "
            "Restore both from the same training run."
        )
    return {
        "kind": "checkpoint",
        "path": str(path),
        "size_bytes": (path / _WEIGHTS).stat().st_size,
        "sha256": digest,
        "card": dataclasses.asdict(card),
        "tensors": len(tensors),
        "weights": _count_elements(tensors),
    }


def _safetensors_header(path: Path) -> dict[str, _Facts]:
    """The table at the start of a safetensors file: 8 bytes of length, then JSON."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > path.stat().st_size:
                raise ValueError("it is cut off")
            table: dict[str, _Facts] = json.loads(file.read(length))
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing.") from error
    except ValueError as error:
        raise InputError(f"{path} cannot be read as safetensors: {error}.") from error
    table.pop("__metadata__", None)
    return table


def _count_elements(tensors: dict[str, _Facts]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for tensor in tensors.values():
        dtype = _SAFETENSORS_TYPES.get(tensor["dtype"], str(tensor["dtype"]))
        counts[dtype] = counts.get(dtype, 0) + math.prod(tensor["shape"])
    return counts


def _lines(facts: _Facts) -> list[str]:
    card = facts["card"]
    spec = card["preprocess"]
    labels = [label for group in card["label_groups"] for label in group["labels"]]
    shown = ", ".join(labels[:12]) + (", …" if len(labels) > 12 else "")
    weights = ", ".join(f"{count:,} {dtype}" for dtype, count in facts["weights"].items())
    rows = [
        ("artifact", f"{facts['kind']} {facts['path']}, {facts['size_bytes'] / 1e6:.2f} MB"),
        ("sha256", facts["sha256"]),
        ("parent", card["parent_sha256"] or "none"),
        ("model", f"{card['variant']}, {card['mode']}, {card['precision']}"),
        ("frames", f"{card['num_frames']} at {card['fps']:g} a second"),
        (
            "input",
            f"{spec['height']}x{spec['width']} pixels, {spec['resize']}, "
            f"crop ratio {spec['crop_ratio']:g}",
        ),
        ("labels", f"{len(labels)}: {shown}"),
        ("weights", weights),
    ]
    if facts["kind"] == "onnx":
        rows += _onnx_rows(facts)
    return [f"{name:9}{value}" for name, value in rows]


def _onnx_rows(facts: _Facts) -> list[tuple[str, str]]:
    opsets = ", ".join(f"{domain or 'ai.onnx'} {v}" for domain, v in facts["opsets"].items())
    rows = [
        ("format", f"opset {opsets}, IR {facts['ir_version']}"),
        ("state", f"{facts['state_bytes'] / 1e6:.2f} MB in {_count_states(facts)} tensors"),
        ("verify", facts["verify"] or "no NAME.verify.npz beside it"),
    ]
    for kind in ("inputs", "outputs"):
        rows += [
            (kind[:-1], f"{tensor['name']} {tensor['dtype']} {list(tensor['shape'])}")
            for tensor in facts[kind]
            if "state_" not in tensor["name"]
        ]
    rows.append(("nodes", str(sum(facts["ops"].values()))))
    rows += [("", f"{count:5} {name}") for name, count in facts["ops"].items()]
    return rows


def _count_states(facts: _Facts) -> int:
    return sum(tensor["name"].startswith("state_") for tensor in facts["inputs"])
