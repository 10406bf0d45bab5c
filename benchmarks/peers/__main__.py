"""``python -m benchmarks.peers``: export, count, measure, print a table, write a record."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.interleaved import Timing, circumstances, measure, record_path
from benchmarks.peers.catalogue import FRAMES, PEERS, Built, Peer, build
from benchmarks.peers.memory import peak_bytes
from benchmarks.peers.plot import draw
from benchmarks.peers.runs import Frames, OnnxRun, TorchRun
from benchmarks.peers.table import judge, markdown, verdicts
from effvit_edge.core.files import atomic_path
from effvit_edge.core.onnx_header import elements, read_onnx_header
from effvit_edge.core.onnx_layers import summarize_layers
from effvit_edge.export.presets import random_preset
from effvit_edge.export.samples import render_samples

_HEAVY_MACS = 10e9
_FLOAT_BYTES = 4
_AGREE = 1e-3  # of the logits' spread


@click.command()
@click.option("--only", multiple=True, help="Leave out all networks but these.")
@click.option("--rounds", type=click.IntRange(min=2), default=30, show_default=True)
@click.option(
    "--heavy-rounds",
    type=click.IntRange(min=2),
    default=5,
    show_default=True,
    help="Of networks above 10 GMACs a label, which take turns among themselves.",
)
@click.option(
    "--torch-rounds", type=click.IntRange(min=0), default=5, show_default=True, help="0: without."
)
@click.option("--graphs", type=click.Path(path_type=Path), help="Keep the ONNX files in a folder.")
@click.option("--note", default="", help="What else the machine did, for the record.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="JSON file; a PNG beside it.")
def main(
    only: tuple[str, ...],
    rounds: int,
    heavy_rounds: int,
    torch_rounds: int,
    graphs: Path | None,
    note: str,
    output: Path | None,
) -> None:
    """Compare what one label costs in our networks and in others'; needs an idle machine."""
    peers = [peer for peer in PEERS if not only or peer.name in only]
    built = {peer.name: build(peer) for peer in peers}
    with tempfile.TemporaryDirectory() as scratch:
        folder = graphs or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        rows = [_count(peer, built[peer.name], folder) for peer in peers]
        report: dict[str, Any] = {**circumstances(), "note": note}
        report["versions"] |= {name: version(name) for name in ("torch", "torchvision", "onnx")}
        report["method"] = {
            "threads": 1,
            "precision": "float32, random weights",
            "rounds": rounds,
            "heavy_rounds": heavy_rounds,
            "torch_rounds": torch_rounds,
            "frames_of_ours": FRAMES,
            "order": "round robin, one untimed and one timed call each",
        }
        _time(rows, built, folder, rounds, heavy_rounds, torch_rounds)
    report["machine"]["load_average_after"] = os.getloadavg()
    report |= {"peers": rows, "ratios": judge(rows)}
    print("\n".join([*markdown(rows), "", *verdicts(report["ratios"])]))
    path = output or record_path("peers")
    title = f"One label from each frame. {report['machine']['processor']}, random weights"
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    draw(rows, path.with_suffix(".png"), title)
    print(f"wrote {path} and a plot beside it")


def _count(peer: Peer, built: Built, folder: Path) -> dict[str, Any]:
    """Export where that was not done yet, and count."""
    path = _path(peer.name, folder)
    if not path.is_file():
        with atomic_path(path) as temporary:
            temporary.write_bytes(built.onnx().SerializeToString())
        _check_same(peer, built, path)
    header = read_onnx_header(path)
    macs = summarize_layers(header).macs
    if macs is None:
        raise click.ClickException(f"the graph of {peer.name} does not describe its tensors")
    states = [tensor for tensor in header.inputs if tensor.name.startswith("state_")]
    print(f"{peer.name}: {macs / 1e9:.3f} GMACs", flush=True)
    return {
        "name": peer.name,
        "parameters": built.parameters,
        "macs": macs,
        "state_bytes": sum(elements(state) for state in states) * _FLOAT_BYTES,
        "peak_bytes": peak_bytes(path),
        "onnx_bytes": path.stat().st_size,
    }


def _check_same(peer: Peer, built: Built, path: Path) -> None:
    """What is timed must compute what the network computes, in the third call as well."""
    frames = _frames()
    onnx, torch = OnnxRun(path, frames), TorchRun(built, frames)
    for _ in range(1 if peer.kind == "clip" else 3):
        onnx.call()
        torch.call()
    expected = torch.answer.numpy()
    difference = float(np.abs(onnx.logits() - expected).max() / expected.std())
    if not difference <= _AGREE:
        raise click.ClickException(
            f"{peer.name}: ONNX Runtime and torch differ by {difference:.1e}"
        )


def _time(
    rows: list[dict[str, Any]],
    built: Mapping[str, Built],
    folder: Path,
    rounds: int,
    heavy_rounds: int,
    torch_rounds: int,
) -> None:
    import torch

    torch.set_num_threads(1)
    frames = _frames()
    heavy = {row["name"] for row in rows if row["macs"] > _HEAVY_MACS}
    timings: dict[str, Timing] = {}
    beside: dict[str, Timing] = {}
    for group, times in ((built.keys() - heavy, rounds), (heavy, heavy_rounds)):
        names = [name for name in built if name in group]
        runs = {name: OnnxRun(_path(name, folder), frames).call for name in names}
        timings |= measure(runs, times)
        del runs
        if torch_rounds:
            runs = {name: TorchRun(built[name], frames).call for name in names}
            beside |= measure(runs, min(times, torch_rounds))
    for row in rows:
        row["onnxruntime"] = dataclasses.asdict(timings[row["name"]])
        other = beside.get(row["name"])
        row["torch"] = dataclasses.asdict(other) if other else None


def _path(name: str, folder: Path) -> Path:
    return folder / f"{name}.onnx"


def _frames() -> Frames:
    """A rendered clip as large and as long as any network takes."""
    largest = max(peer.size for peer in PEERS)
    _, card = random_preset("efficientvit_b0", "stream", input_size=largest)
    clip: Frames = render_samples(card, max(peer.frames for peer in PEERS))[0]
    return clip


if __name__ == "__main__":
    main()
