"""The record as a picture: time against work, each for one label at every frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.peers.catalogue import BY_NAME
from benchmarks.peers.names import Point, write_names

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
_DPI = 110


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
    points = []
    for row in rows:
        peer = BY_NAME[row["name"]]
        colour = _COLOURS[peer.family]
        x, y = row["macs"] / 1e9, row["onnxruntime"]["median_ms"]
        axes.plot(x, y, _MARKERS[peer.kind], color=colour, markersize=8, alpha=0.9)
        points.append(Point(f"{peer.name} {peer.size}²", x, y, colour))
    low, high = axes.get_xlim()
    high *= 3  # room for the names
    for rate in _RATES:
        axes.plot((low, high), (low * rate, high * rate), ":", color="#bbbbbb", linewidth=0.8)
        axes.annotate(
            f"{rate} ms per GMAC", (high / 1.05, high * rate / 1.6), fontsize=7, color="#888888",
            horizontalalignment="right",
        )  # fmt: skip
    axes.set_xlim(low, high)
    axes.set_ylim(min(row["onnxruntime"]["median_ms"] for row in rows) / 3)
    axes.set_xlabel("multiply-accumulates of one label, billions")
    axes.set_ylabel("milliseconds of one label, one thread, ONNX Runtime")
    axes.set_title(title, fontsize=10)
    for kind, marker in _MARKERS.items():
        axes.plot([], [], marker, color="#888888", label=kind)
    axes.legend(loc="lower right", frameon=False)
    axes.grid(True, which="major", color="#eeeeee")
    figure.dpi = _DPI
    figure.draw_without_rendering()  # the axes get their place, which the names depend on
    write_names(axes, points)
    figure.savefig(path, dpi=_DPI)
