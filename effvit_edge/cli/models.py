"""``effvit-edge models``: the networks that can be built."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click

from effvit_edge.core.optional import require

if TYPE_CHECKING:
    from effvit_edge.nn.summary import PresetSummary

_HEADINGS = ("name", "parameters", "GMACs/frame", "GMACs/clip", "state MB")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list with exact numbers.")
def command(as_json: bool) -> None:
    """List the networks with their size and cost.

    At 224x224 pixels and 8 frames, video networks as causal ones: parameters, multiply-accumulates
    for one frame and for one clip, and the state (float32) that a stream keeps between two frames.
    An image network has neither clip nor state.
    """
    require("torch", "train")
    from effvit_edge import nn
    from effvit_edge.nn.summary import summarize

    summaries = [summarize(name) for name in nn.list_models()]
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(summary) for summary in summaries], indent=2))
        return
    for row in _aligned([_HEADINGS, *(_row(summary) for summary in summaries)]):
        click.echo(row)


def _row(summary: PresetSummary) -> tuple[str, ...]:
    return (
        summary.name,
        f"{summary.parameters:,}",
        _scaled(summary.macs_per_frame, 1e9, 3),
        _scaled(summary.macs_per_clip, 1e9, 3),
        _scaled(summary.state_bytes, 1e6, 2),
    )


def _scaled(number: int | None, unit: float, digits: int) -> str:
    """A number in a larger unit; a dash for what an image network does not have."""
    return "-" if number is None else f"{number / unit:.{digits}f}"


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Columns as wide as their widest cell: names to the left, numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
