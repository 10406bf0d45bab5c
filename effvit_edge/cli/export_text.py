"""What ``effvit-edge export`` says about what it did: rows that fit 80 columns, but for names."""

from __future__ import annotations

import dataclasses
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from effvit_edge.core.card import Mode, ModelCard, Precision
from effvit_edge.core.limits import FP32_LIMIT

if TYPE_CHECKING:
    from effvit_edge.core.comparison import Accuracy, Comparison
    from effvit_edge.core.limits import Limits
    from effvit_edge.export import Exported, ExportReport
    from effvit_edge.export.convert import Conversion

_NAME_WIDTH = 6
_WIDTH = 80
_NAMES = {"fp32": "float32", "fp16": "FP16", "int8": "INT8"}


@dataclass(frozen=True)
class Account:
    """What one step did."""

    title: str
    """Shown where there are several steps."""
    lines: list[str]
    """For people."""
    record: dict[str, object]
    """For ``--json``."""


def row(name: str, *parts: str) -> list[str]:
    """A name and its text; further parts stand below the first."""
    indent = " " * (_NAME_WIDTH + 3)
    return [f"  {name:{_NAME_WIDTH}} {parts[0]}", *(indent + part for part in parts[1:])]


def prose(name: str, text: str) -> list[str]:
    """A name and sentences, wrapped."""
    width = _WIDTH - _NAME_WIDTH - 3
    wrapped = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return row(name, *wrapped) if wrapped else []


def headline(
    artifact: str, card: ModelCard, mode: Mode, precision: Precision, batch: int | None
) -> str:
    """What is exported as what."""
    spec = card.preprocess
    cameras = f", batch {batch}" if batch else ""
    variant = "" if artifact == card.variant else f" ({card.variant})"
    return (
        f"Exporting {artifact}{variant}: {mode}, {spec.height}x{spec.width} pixels, "
        f"{card.num_classes} labels, {precision}{cameras}"
    )


def gate_parts(gate: Comparison, relative: float, limits: Limits) -> list[str]:
    """A comparison's figures beside their limits."""
    asked = f" (limit {limits.agreement:.1%})" if limits.agreement else ""
    return [
        f"max difference {relative:.2%} of the largest logit (limit {limits.relative:.2%}),",
        f"mean {gate.mean_abs:.1e}, cosine {gate.cosine:.5f} (limit {limits.cosine}),",
        f"same label {gate.top1_agreement:.1%}{asked}",
    ]


def graph_account(report: ExportReport) -> Account:
    """Of a graph that was made from a network, and written."""
    lines = [
        *row("graph", f"{report.nodes} nodes, {report.size_bytes / 1e6:.1f} MB"),
        *_torch_gate(report.comparison),
        *_wrote(report.path, report.verify_path),
    ]
    record = {
        "path": str(report.path),
        "verify_path": str(report.verify_path),
        "size_bytes": report.size_bytes,
        "nodes": report.nodes,
        "gate": _torch_record(report.comparison),
        "card": dataclasses.asdict(report.card),
    }
    return Account("Graph in float32", lines, record)


def network_account(exported: Exported) -> Account:
    """Of a graph that was made from a network, and stays in memory."""
    nodes = len(exported.model.graph.node)
    lines = [*row("graph", f"{nodes} nodes, not written"), *_torch_gate(exported.comparison)]
    record: dict[str, object] = {"nodes": nodes, "gate": _torch_record(exported.comparison)}
    return Account("Graph in float32", lines, record)


def conversion_account(report: Conversion, footage: str) -> Account:
    """Of a graph that was made from another.

    Args:
        report: of the conversion.
        footage: what the gate showed, ``real`` or ``rendered``.
    """
    return Account(
        f"Graph in {_NAMES[report.card.precision]}",
        _conversion_lines(report, footage),
        _conversion_record(report),
    )


def next_line(path: Path, *, runs: bool, needs_engine: bool = False) -> str:
    """The command that comes next.

    Args:
        path: what was written last.
        runs: whether it labels videos.
        needs_engine: whether only an engine of it would.
    """
    if needs_engine:
        plan = path.with_suffix(".plan")
        return f"Next: effvit-edge export {path} --format engine -o {plan}"
    return f"Next: effvit-edge {f'label VIDEO --model {path}' if runs else f'inspect {path}'}"


def _torch_gate(gate: Comparison) -> list[str]:
    return row(
        "gate",
        f"{gate.answers} answers on rendered clips, against torch:",
        f"max difference {gate.max_abs:.1e} (limit {FP32_LIMIT:.0e}), mean {gate.mean_abs:.1e},",
        f"cosine {gate.cosine:.6f}, same label {gate.top1_agreement:.0%}",
    )


def _torch_record(gate: Comparison) -> dict[str, object]:
    return {**dataclasses.asdict(gate), "limit_max_abs": FP32_LIMIT}


def _wrote(path: Path, verify: Path) -> list[str]:
    return row("wrote", f"{path} and {verify.name}")


def _conversion_lines(report: Conversion, footage: str) -> list[str]:
    found, verdict = report.verdict.comparison, report.verdict
    int8 = f", {report.quantised} layers in INT8" if report.quantised else ""
    lines = row("graph", f"{report.nodes} nodes, {report.size_bytes / 1e6:.1f} MB{int8}")
    against = f"{found.answers} answers on {footage} frames, against the float32 graph:"
    lines += row("gate", against, *gate_parts(found, verdict.relative, report.limits))
    if verdict.drift is not None:
        loops = verdict.drift.by_loop
        over = f"over {verdict.drift.frames} frames the mean difference goes from"
        lines += row("drift", f"{over} {loops[1]:.1e} to {loops[-1]:.1e}")
    reach = f"its numbers reach {report.attention_reach:.1%} of half precision's range"
    lines += row("reach", f"attention in {report.attention.upper()}: {reach}")
    if report.excluded:
        lines += prose("kept", f"in higher precision: {', '.join(report.excluded)}")
    if report.accuracy is not None:
        lines += accuracy_lines(report.accuracy, report.limits.drop)
    return [*lines, *_wrote(report.path, report.verify_path)]


def accuracy_lines(accuracy: Accuracy, limit: float) -> list[str]:
    """What is told right, before and after a step."""
    found = f"{accuracy.before:.1%} before, {accuracy.after:.1%} after"
    return row("top-1", f"{found} (limit: a loss of {limit:.1%})")


def _conversion_record(report: Conversion) -> dict[str, object]:
    from effvit_edge.export.convert import as_record

    accuracy = report.accuracy
    return {
        "path": str(report.path),
        "verify_path": str(report.verify_path),
        "size_bytes": report.size_bytes,
        "nodes": report.nodes,
        "quantised": report.quantised,
        "excluded": list(report.excluded),
        "attention": {"precision": report.attention, "reach": report.attention_reach},
        "gate": {**as_record(report.verdict), "limits": dataclasses.asdict(report.limits)},
        "accuracy": None if accuracy is None else dataclasses.asdict(accuracy),
        "card": dataclasses.asdict(report.card),
    }
