"""Why a build failed, as TensorRT tells it and as a person can use it."""

from __future__ import annotations

import re
import signal
from typing import Literal, TypeAlias

from effvit_edge.core.errors import EdgeError, EnvironmentFault, InputError

Kind: TypeAlias = Literal["library", "device", "memory", "plugin", "node", "graph", "disk", "build"]

_MEMORY = re.compile(
    r"out ?of ?memory|NvMapMemAlloc|insufficient memory|MEM_ALLOC_FAILED|bad_alloc"
    r"|memory allocation|cudaError 2\b",
    re.IGNORECASE,
)
_PLUGIN = re.compile(r"plugin not found|plugin name, version|could not find plugin", re.IGNORECASE)
_DEVICE = re.compile(
    r"driver version is insufficient|no CUDA-capable device|cudaError (35|100)\b"
    r"|CUDA initialization failure",
    re.IGNORECASE,
)
_NO_IMPLEMENTATION = re.compile(
    r"could not find any implementation for node (.+?)\.?$", re.M | re.I
)
_USE_ELSEWHERE = "or run the ONNX file with --provider cuda or cpu"


class BuildFault(Exception):
    """A build that failed, on its way from the process that builds.

    Args:
        kind: of the failure.
        text: TensorRT's own words.
        node: that is the matter, if one is.
    """

    def __init__(self, kind: Kind, text: str, node: str = "") -> None:
        super().__init__(text)
        self.kind: Kind = kind
        self.text = text
        self.node = node


def classify(text: str) -> BuildFault:
    """What the builder's last words mean."""
    found = _NO_IMPLEMENTATION.search(text)
    if _DEVICE.search(text):
        return BuildFault("device", text)
    if _MEMORY.search(text):  # before the node: without memory no implementation is found either
        return BuildFault("memory", text)
    if found:
        return BuildFault("node", "no implementation was found", found.group(1))
    return BuildFault("build", text)


def classify_parser(text: str, code: str, node: str, operator: str) -> BuildFault:
    """What an error of the ONNX parser means.

    Args:
        text: its description.
        code: the name of its error code, such as ``UNSUPPORTED_NODE``.
        node: the name of the node, if there is one.
        operator: that node's.
    """
    where = f"{node or 'without a name'} ({operator})"
    if _PLUGIN.search(text):
        return BuildFault("plugin", text, where)
    if code == "MEM_ALLOC_FAILED" or _MEMORY.search(text):
        return BuildFault("memory", text)
    if operator:
        return BuildFault("node", f"{code}: {text}", where)
    return BuildFault("graph", f"{code}: {text}")


def explain(fault: BuildFault, onnx: str, builder: str, workspace_mib: int) -> EdgeError:
    """The error that a command ends with.

    Args:
        fault: what happened.
        onnx: the file that was to become an engine.
        builder: TensorRT with its version.
        workspace_mib: what a layer was allowed.
    """
    text = fault.text.strip().rstrip(".")
    if fault.kind == "library":
        return EnvironmentFault(fault.text)
    if fault.kind == "device":
        return EnvironmentFault(f"{builder} finds no device it can build for: {text}.")
    if fault.kind == "memory":
        return EdgeError(
            f"{builder} ran out of memory building {onnx}: {text}. {_more_memory(workspace_mib)}"
        )
    if fault.kind == "plugin":
        return EnvironmentFault(
            f"{onnx} needs the attention plugin for its node {fault.node}, and {builder} has none. "
            "Build it on this device with make plugin, or export with --attention native."
        )
    if fault.kind == "node":
        return InputError(
            f"{builder} does not support the node {fault.node} of {onnx}: {text}. Export the "
            f"checkpoint again with this version of effvit-edge, {_USE_ELSEWHERE}."
        )
    if fault.kind == "graph":
        return InputError(f"{builder} cannot read {onnx}: {text}. Export the checkpoint again.")
    if fault.kind == "disk":
        return EdgeError(f"The engine of {onnx} could not be written: {text}.")
    return EdgeError(f"{builder} could not build an engine of {onnx}: {text}.")


def explain_exit(status: int, words: str, onnx: str, workspace_mib: int) -> EdgeError:
    """The error for a build whose process ended without a word.

    Args:
        status: of the process; negative for a signal.
        words: the end of what it wrote on standard error.
        onnx: the file that was to become an engine.
        workspace_mib: what a layer was allowed.
    """
    if status == -signal.SIGKILL:
        return EdgeError(
            f"The system killed the build of {onnx}, which is what it does when memory runs out. "
            f"{_more_memory(workspace_mib)}"
        )
    how = f"signal {-status}" if status < 0 else f"status {status}"
    last = words.strip().splitlines()[-1] if words.strip() else "it said nothing"
    return EdgeError(f"The build of {onnx} crashed with {how}: {last}.")


def _more_memory(workspace_mib: int) -> str:
    return (
        "Close what else uses memory (on a Jetson the desktop, too), add swap, or give the builder "
        f"less than {workspace_mib} MiB of workspace."
    )
