"""Running the worker that builds, and reading what it tells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from effvit_edge.engine.faults import BuildFault, explain, explain_exit
from effvit_edge.engine.request import BuildRequest

Progress = Callable[[str, int], None]
"""Told the phase of a build and how many per cent of it are done."""
Worker = Callable[[BuildRequest, str, Progress], None]
"""Writes the plan of a request, given TensorRT's name and version for messages."""

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]


def run_worker(request: BuildRequest, builder: str, progress: Progress) -> None:
    """Build in a process of its own, which ends with this call, however it ends.

    Args:
        request: what to build.
        builder: TensorRT's name and version, for messages.
        progress: told how it goes.

    Raises:
        EdgeError: there is no engine; the kind and the words tell why.
    """
    command = [sys.executable, "-m", "effvit_edge.engine.worker", request.to_json()]
    with (
        tempfile.TemporaryFile("w+", errors="replace") as words,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=words, text=True, env=_environment()
        ) as process,
    ):
        try:
            assert process.stdout is not None
            fault = _follow(process.stdout, progress)
            status = process.wait()
        except BaseException:  # Ctrl-C above all
            process.kill()
            raise
        words.seek(0)
        said = words.read()
    name, workspace = Path(request.onnx).name, request.options.workspace_mib
    if fault is not None:
        raise explain(fault, name, builder, workspace) from fault
    if status:
        raise explain_exit(status, said, name, workspace)


def _follow(lines: Iterable[str], progress: Progress) -> BuildFault | None:
    """Listen to a worker to its end; how it failed, if it did and could say so."""
    fault = None
    for line in lines:
        try:
            event = json.loads(line)
            kind = event["event"]
        except (ValueError, TypeError, KeyError):
            continue  # a library's own words, in the wrong place
        if kind == "progress":
            progress(event["phase"], event["percent"])
        elif kind == "failed":
            fault = BuildFault(event["kind"], event["text"], event["node"])
    return fault


def _environment() -> dict[str, str]:
    """This process's, with the package where it is also not installed."""
    paths = [str(_PACKAGE_ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def no_progress(phase: str, percent: int) -> None:
    """Tells nobody."""
