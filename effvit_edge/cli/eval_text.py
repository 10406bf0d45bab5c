"""An evaluation as tables of plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from effvit_edge.train.metrics import ExclusiveTally, Report

_MOST_CLASSES = 40
_LABEL_LETTERS = 40
_FIGURES = (
    ("top1", "top-1"),
    ("majority", "  always the commonest class"),
    ("top5", "top-5"),
    ("majority_top5", "  always the five commonest"),
    ("mean_class", "mean class accuracy"),
    ("majority_mean_class", "  any constant answer"),
    ("map", "mAP"),
    ("prevalence_map", "  equal scores for all"),
    ("frame_top1", "frames, top-1"),
    ("end_top1", "at the end, top-1"),
    ("end_map", "at the end, mAP"),
    ("first_window_top1", "first full window, top-1"),
    ("ten_windows_top1", "ten windows in, top-1"),
)


def tables(report: Report) -> str:
    """Every group's figures side by side, the classes of each, and the note where there is one."""
    figures: dict[str, Mapping[str, Any]] = {k: t.summary() for k, t in report.tallies.items()}
    for name, tally in report.marginal_tallies.items():
        figures[f"{name} of action"] = tally.summary()
    parts = [_figures(figures)]
    for name, found in report.tallies.items():
        several = f"{name}\n" if len(report.tallies) > 1 else ""
        exclusive = report.exclusive.get(name)
        parts.append(several + (_classes(exclusive) if exclusive else _precisions(found.details())))
    note = report.summary().get("note")
    return "\n\n".join([*parts, f"Note: {note}."] if note else parts)


def _figures(groups: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each figure, a column for each group."""
    header = ["", *groups] if len(groups) > 1 else []
    rows = [
        [words, *(f"{own[key]:.1%}" if key in own else "" for own in groups.values())]
        for key, words in _FIGURES
        if any(key in own for own in groups.values())
    ]
    if any("loss" in own for own in groups.values()):
        losses = (f"{own['loss']:.3f}" if "loss" in own else "" for own in groups.values())
        rows.append(["loss", *losses])
    return _aligned([header, *rows] if header else rows)


def _classes(tally: ExclusiveTally) -> str:
    """A row for each class; of many the worst ones."""
    found = tally.rows()
    header = ["class", "sequences", "right", "share", "mostly taken for"]
    note = ""
    if len(found) > _MOST_CLASSES:
        found = sorted(found, key=lambda row: row.right - row.sequences)[:_MOST_CLASSES]
        note = (
            f"\nThese are the {_MOST_CLASSES} of {len(tally.rows())} classes with the most wrong "
            f"answers; all are in the JSON (--json or --output)."
        )
    rows = [
        [
            _short(row.label),
            str(row.sequences),
            str(row.right),
            f"{row.right / row.sequences:.1%}",
            f"{_short(row.confused_with)} ({row.confused})" if row.confused else "",
        ]
        for row in found
    ]
    return _aligned([header, *rows], left=(0, 4)) + note


def _precisions(details: Mapping[str, Any]) -> str:
    """A row for each label of a group whose labels can apply at once."""
    counts = details["per_class_sequences"]
    worst = sorted(details["per_class"].items(), key=lambda item: float(item[1]))[:_MOST_CLASSES]
    rows = [[_short(label), str(counts[label]), f"{value:.1%}"] for label, value in worst]
    return _aligned([["label", "sequences", "average precision"], *rows])


def _aligned(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    """Columns two spaces apart, those numbered in ``left`` to the left and the others right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = (
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _short(label: str) -> str:
    return label if len(label) <= _LABEL_LETTERS else label[: _LABEL_LETTERS - 1] + "…"
