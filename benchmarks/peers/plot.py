"""The record as a picture: time against work, each for one label at every frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.peers.catalogue import BY_NAME

_COLOURS = {
    "ours": "#c0392b",
    "EfficientViT 2D": "#e59866",
    "MoViNet": "#1f618d",
    "TSM": "#17a589",
    "X3D": "#7d3c98",
    "3D ResNets": "#707b7c",
    "S3D": "#b7950b",
    "MViT": "#2c3e50",
}
_MARKERS = {"stream": "o", "clip": "s", "image": "^"}
_RATES = (5, 20, 80)  # ms per GMAC


def draw(rows: list[dict[str, Any]], path: Path, title: str) -> None:
    """Write a PNG file.

    Args:
        rows: of the record.
        path: ends in ``.png``.
        title: above the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_yscale("log")
    for row in rows:
        peer = BY_NAME[row["name"]]
        x, y = row["macs"] / 1e9, row["onnxruntime"]["median_ms"]
        axes.plot(x, y, _MARKERS[peer.kind], color=_COLOURS[peer.family], markersize=9, alpha=0.9)
        axes.annotate(
            f"{peer.name} {peer.size}²",
            (x, y),
            xytext=(7, -3),
            textcoords="offset points",
            fontsize=8,
            color=_COLOURS[peer.family],
        )
    low, high = axes.get_xlim()
    high *= 3  # room for the names
    for rate in _RATES:
        axes.plot((low, high), (low * rate, high * rate), ":", color="#bbbbbb", linewidth=0.8)
        axes.annotate(
            f"{rate} ms per GMAC", (low * 1.1, low * rate * 1.2), fontsize=7, color="#888888"
        )
    axes.set_xlim(low, high)
    axes.set_xlabel("multiply-accumulates of one label, billions")
    axes.set_ylabel("milliseconds of one label, one thread, ONNX Runtime")
    axes.set_title(title, fontsize=10)
    for kind, marker in _MARKERS.items():
        axes.plot([], [], marker, color="#888888", label=kind)
    axes.legend(loc="lower right", frameon=False)
    axes.grid(True, which="major", color="#eeeeee")
    figure.savefig(path, dpi=110)
