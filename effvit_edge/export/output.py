"""What an export may be called, and where it can lie."""

from __future__ import annotations

from pathlib import Path

from effvit_edge.core.errors import EnvironmentFault, InputError
from effvit_edge.core.files import why_not_writable
from effvit_edge.runtime.kinds import PLAN_SUFFIXES


def check_output(path: Path) -> None:
    """Find out whether a graph may be written there, before anything costly.

    Raises:
        InputError: ``path`` is a folder, or is not named as ONNX files are.
        EnvironmentFault: its folder cannot be written.
    """
    if path.suffix != ".onnx":
        engine = " For an engine add --format engine." if path.suffix in PLAN_SUFFIXES else ""
        raise InputError(f"The output must be named like model.onnx, got {path}.{engine}")
    if path.is_dir():
        raise InputError(f"The output {path} is a folder; give the name of a file.")
    check_folder(path)


def check_folder(path: Path) -> None:
    """Find out whether a file can be written there.

    Raises:
        InputError: its folder is a file.
        EnvironmentFault: its folder refuses.
    """
    try:
        reason = why_not_writable(path.parent)
    except NotADirectoryError as error:
        raise InputError(
            f"The output {path} cannot be written: {path.parent} is no folder."
        ) from error
    if reason:
        raise EnvironmentFault(
            f"The output {path} cannot be written: {reason}. Give a file in another folder."
        )
