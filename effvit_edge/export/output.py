"""What an export may be called."""

from __future__ import annotations

from pathlib import Path

from effvit_edge.core.errors import InputError


def check_output(path: Path) -> None:
    """Find out whether a graph may be written there, before anything costly.

    Raises:
        InputError: ``path`` is a folder, or is not named as ONNX files are.
    """
    if path.suffix != ".onnx":
        raise InputError(f"The output must be named like model.onnx, got {path}.")
    if path.is_dir():
        raise InputError(f"The output {path} is a folder; give the name of a file.")
