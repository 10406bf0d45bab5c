"""What the record says: judged against the targets, and as a Markdown table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.peers.catalogue import BY_NAME, FRAMES

Row = dict[str, Any]
_STREAMS = ("movinet_a0", "movinet_a1", "movinet_a2")


def gmacs_ms(row: Mapping[str, Any], clock: str = "median_ms") -> float:
    """Milliseconds a billion multiply-accumulates."""
    return float(row["onnxruntime"][clock]) / (float(row["macs"]) / 1e9)


def every_ms(row: Mapping[str, Any], every: int = FRAMES) -> float:
    """Milliseconds of one label in ``every`` frames."""
    calls = BY_NAME[str(row["name"])].calls_per_label(every)
    return calls * float(row["onnxruntime"]["median_ms"])


def judge(rows: list[Row]) -> list[Row]:
    """The ratios that were aimed at, by the clock and by the processor's time.

    Args:
        rows: of the record; a target whose networks are not among them is left out.
    """
    by_name = {row["name"]: row for row in rows}
    judged = []
    for slow in ("x3d_m", "x3d_m_lowered"):
        judged.append(_ratio(by_name, f"{slow} / b1_stream", slow, "b1_stream", 10.0, False))
    for slow in _STREAMS:
        for fast in ("b1_stream", "b1_stream_late", "b0_stream", "b0_stream_late"):
            name = f"{slow} / {fast}, per GMAC"
            judged.append(_ratio(by_name, name, slow, fast, 1.8, True))
    judged.append(_ratio(by_name, "movinet_a1 / b0_stream", "movinet_a1", "b0_stream", 1.0, False))
    return [row for row in judged if row is not None]


def _ratio(
    by_name: Mapping[str, Row], name: str, slow: str, fast: str, bound: float, per_gmac: bool
) -> Row | None:
    if slow not in by_name or fast not in by_name:
        return None
    values = []
    for clock in ("median_ms", "cpu_median_ms"):
        pair = (by_name[slow], by_name[fast])
        over, under = (
            gmacs_ms(row, clock) if per_gmac else row["onnxruntime"][clock] for row in pair
        )
        values.append(over / under)
    return {
        "ratio": name,
        "value": round(values[0], 3),
        "by_cpu_time": round(values[1], 3),
        "at_least": bound,
        "met": values[0] >= bound,
    }


def markdown(rows: list[Row]) -> list[str]:
    """A table, fastest label first."""
    lines = [
        "| network | a label from | parameters M | GMACs a label | **ms a label, each frame** | "
        "of the processor | "
        f"ms per GMAC | ms a label, each {FRAMES}th frame | state kB | peak MB | torch ms | "
        "published top-1, % |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: float(row["onnxruntime"]["median_ms"])):
        peer = BY_NAME[row["name"]]
        count = f"{peer.frames} frames" if peer.kind == "clip" else "1 frame"
        state = " and its state" if peer.kind == "stream" else ""
        torch_ms = f"{row['torch']['median_ms']:.1f}" if row["torch"] else "–"
        accuracy = peer.published.accuracy if peer.published else "–"
        cells = [
            f"`{peer.name}`",
            f"{count}{state}, {peer.size}²",
            f"{row['parameters'] / 1e6:.2f}",
            f"{row['macs'] / 1e9:.3f}",
            f"{row['onnxruntime']['median_ms']:.2f}",
            f"{row['onnxruntime']['cpu_median_ms']:.2f}",
            f"{gmacs_ms(row):.1f}",
            f"{every_ms(row):.1f}",
            f"{row['state_bytes'] / 1e3:.0f}",
            f"{row['peak_bytes'] / 1e6:.0f}",
            torch_ms,
            accuracy,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def verdicts(judged: list[Row]) -> list[str]:
    """One line a target."""
    return [
        f"{row['ratio']:38}{row['value']:8.2f}  (cpu time {row['by_cpu_time']:.2f})  "
        f">= {row['at_least']:<5g}{'met' if row['met'] else 'MISSED'}"
        for row in judged
    ]
