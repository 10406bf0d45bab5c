"""Telling an engine from an ONNX file by what is in it, whatever its name says."""

from __future__ import annotations

from pathlib import Path

from effvit_edge.core.errors import InputError

PLAN_SUFFIXES = (".plan", ".engine")
_ONNX_SUFFIX = ".onnx"
_PLAN_START_SIZE = 4
_PLAN_TAG = b"trt"  # after a letter that tells what kind of plan it is
_ONNX_START = b"\x08"
"""The tag of a model's first field, its IR version, with which every exporter begins."""


def is_plan(path: Path) -> bool:
    """Whether a file is to be taken for a TensorRT engine; otherwise for an ONNX file.

    Raises:
        InputError: its name says one, and its content is the other; or it is a sidecar.
    """
    if path.suffix == ".json":
        raise InputError(f"{path} is not a model; of an engine's two files give {path.stem}.")
    with path.open("rb") as file:
        start = file.read(_PLAN_START_SIZE)
    tagged = start[1:] == _PLAN_TAG
    if tagged and path.suffix == _ONNX_SUFFIX:
        raise InputError(
            f"{path} is a TensorRT engine by its content, not an ONNX file. Call it "
            f"{path.with_suffix('.plan').name} and put its sidecar beside it, or give the ONNX "
            "file it was built from."
        )
    if path.suffix not in PLAN_SUFFIXES:
        return tagged
    if start.startswith(_ONNX_START):
        raise InputError(
            f"{path} is an ONNX file by its content, not a TensorRT engine. Call it "
            f"{path.with_suffix(_ONNX_SUFFIX).name}."
        )
    return True
