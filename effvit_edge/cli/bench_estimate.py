"""``effvit-edge bench --estimate``: a guess for a device that is not at hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from effvit_edge.bench.estimate.devices import DEVICES
from effvit_edge.core.errors import InputError


def print_estimates(paths: Sequence[Path], device: str, as_json: bool) -> int:
    """Print an estimate of each file, which says that it is one.

    Raises:
        InputError: a file is no ONNX file of this package.
    """
    from effvit_edge.bench.estimate import ERRORS, predict
    from effvit_edge.bench.markdown import estimate_lines
    from effvit_edge.core.card import ModelCard
    from effvit_edge.core.onnx_header import read_onnx_header
    from effvit_edge.runtime.graph import CARD_KEY

    found = []
    for path in paths:
        header = read_onnx_header(path)
        if CARD_KEY not in header.metadata:
            raise InputError(f"{path} has no model card. Give a file of: effvit-edge export.")
        card = ModelCard.from_json(header.metadata[CARD_KEY], str(path))
        told = predict(header, DEVICES[device])
        found.append(
            {
                "artifact": path.name,
                "device": device,
                "estimate_ms": round(told.milliseconds, 4),
                "by_kind_ms": {kind: round(ms, 4) for kind, ms in told.by_kind.items()},
                "note": f"an estimate: {ERRORS}",
            }
        )
        if not as_json:
            window = (card.num_frames - 1) / card.fps
            for line in estimate_lines(path.name, told, window):
                click.echo(line)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    return 0
