"""What ``effvit-edge export`` says about what it did."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from effvit_edge.export import ExportReport
    from effvit_edge.export.convert import Conversion


def export_lines(report: ExportReport, limit: float) -> list[str]:
    """Of a graph that was made from a network."""
    gate = report.comparison
    return [
        f"  graph  {report.nodes} nodes, {report.size_bytes / 1e6:.1f} MB",
        f"  gate   {gate.answers} answers on rendered clips, against torch: "
        f"max difference {gate.max_abs:.1e} (limit {limit:.0e}), mean {gate.mean_abs:.1e}, "
        f"cosine {gate.cosine:.6f}, same label {gate.top1_agreement:.0%}",
        f"  wrote  {report.path} and {report.verify_path.name}",
        next_line(str(report.path), runs=report.runs),
    ]


def conversion_lines(report: Conversion, footage: str) -> list[str]:
    """Of a graph that was made from another."""
    found, limits = report.verdict.comparison, report.limits
    int8 = f", {report.quantised} layers in INT8" if report.quantised else ""
    lines = [
        f"  graph  {report.nodes} nodes, {report.size_bytes / 1e6:.1f} MB{int8}",
        f"  gate   {found.answers} answers on {footage} frames, against the float32 graph: "
        f"max difference {report.verdict.relative:.2%} of the largest logit (limit "
        f"{limits.relative:.2%}), mean {found.mean_abs:.1e}, cosine {found.cosine:.5f} (limit "
        f"{limits.cosine}), same label {found.top1_agreement:.1%} (limit {limits.agreement:.1%})",
    ]
    if report.verdict.drift is not None:
        drift = report.verdict.drift
        lines.append(
            f"  drift  over {drift.frames} frames the mean difference goes from "
            f"{drift.by_loop[1]:.1e} to {drift.by_loop[-1]:.1e}"
        )
    if report.excluded:
        lines.append(f"  kept in higher precision: {', '.join(report.excluded)}")
    if report.accuracy is not None:
        lines.append(
            f"  top-1  {report.accuracy.before:.1%} before, {report.accuracy.after:.1%} after"
        )
    lines.append(f"  wrote  {report.path} and {report.verify_path.name}")
    return [*lines, next_line(str(report.path), runs=report.runs)]


def next_line(path: str, *, runs: bool) -> str:
    """The command that comes next."""
    command = f"label VIDEO --model {path}" if runs else f"inspect {path}"
    return f"Next: effvit-edge {command}"


def export_record(report: ExportReport, limit: float) -> dict[str, object]:
    """For ``--json``."""
    return {
        "path": str(report.path),
        "verify_path": str(report.verify_path),
        "size_bytes": report.size_bytes,
        "nodes": report.nodes,
        "gate": {**dataclasses.asdict(report.comparison), "limit_max_abs": limit},
        "card": dataclasses.asdict(report.card),
    }


def conversion_record(report: Conversion) -> dict[str, object]:
    """For ``--json``."""
    from effvit_edge.export.convert import as_record

    accuracy = report.accuracy
    return {
        "path": str(report.path),
        "verify_path": str(report.verify_path),
        "size_bytes": report.size_bytes,
        "nodes": report.nodes,
        "quantised": report.quantised,
        "excluded": list(report.excluded),
        "gate": {**as_record(report.verdict), "limits": dataclasses.asdict(report.limits)},
        "accuracy": None if accuracy is None else dataclasses.asdict(accuracy),
        "card": dataclasses.asdict(report.card),
    }
