"""The labelled data of ``effvit-edge export``: looked at before anything is done."""

from __future__ import annotations

from pathlib import Path

from effvit_edge.cli.export_request import Request
from effvit_edge.core.errors import InputError
from effvit_edge.core.onnx_header import OnnxHeader

_LISTS = (".csv", ".yaml", ".yml")
"""Names of the files that labelled data comes as."""


def check_data(request: Request, graph: OnnxHeader | None) -> None:
    """See that labelled data is there, and that the graph can be shown it.

    Args:
        request: what a user asks for.
        graph: what is converted, where that is an ONNX file.

    Raises:
        InputError: it is not, or the graph takes several streams.
    """
    for option, source, where in (
        ("--calibrate", request.calibrate, request.calibrate_where),
        ("--verify", request.verify, request.verify_where),
    ):
        if source is None:
            continue
        _refuse_batch(option, request, graph)
        _check_source(option, source, where)


def _refuse_batch(option: str, request: Request, graph: OnnxHeader | None) -> None:
    shows = f"{option} shows a graph one stream"
    if request.batch is not None:
        raise InputError(f"{shows}, and this one is to take several. Leave --batch out.")
    if graph is not None and _takes_several(graph):
        raise InputError(
            f"{shows}, and {request.artifact} takes several. Give one without --batch."
        )


def _takes_several(header: OnnxHeader) -> bool:
    """Whether a graph has the leading axis of ``--batch``."""
    axes = {"frame": 3, "frames": 4}
    return any(len(each.shape) > axes.get(each.name, len(each.shape)) for each in header.inputs)


def _check_source(option: str, source: str, where: tuple[str, ...]) -> None:
    from effvit_edge.train.evaldata import MOTION

    path = Path(source)
    if where and path.suffix.lower() != ".csv":
        raise InputError(
            f"{option}-where chooses rows of a CSV file, and {source} is none. Leave it out or "
            "give a CSV."
        )
    if source == MOTION or path.is_dir() or (path.exists() and path.suffix.lower() in _LISTS):
        return
    what = "is not a CSV file or recipe" if path.exists() else "does not exist"
    raise InputError(
        f"{option} {source} {what}. Give a folder of classes, a CSV file, a prepared folder, a "
        f"recipe or '{MOTION}'."
    )
