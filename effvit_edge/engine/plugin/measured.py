"""Whether the attention plugin is faster than TensorRT's own kernels: as measured, on one device.

The record lies beside the engines. It holds for one device, TensorRT and version of the kernels,
which its name says, so that none is taken for another.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from effvit_edge.core.errors import InputError
from effvit_edge.core.files import atomic_path
from effvit_edge.core.strict_json import (
    as_integer,
    as_number,
    as_text,
    check_keys,
    parse_object,
)
from effvit_edge.engine.target import Machine


@dataclass(frozen=True)
class Measured:
    """Two engines of one network, alike but for the attention, timed in turn."""

    network: str
    """Which one, for people."""
    onnx_sha256: str
    """Of its graph of plain operators."""
    device: str
    tensorrt: str
    answers: int
    """How many each engine gave."""
    native_ms: float
    """Median of an answer, with the copies to the device and back; so is the next."""
    plugin_ms: float

    @property
    def ratio(self) -> float:
        """The plugin's time as a part of the other's."""
        return self.plugin_ms / self.native_ms

    @property
    def faster(self) -> bool:
        """Whether the plugin is."""
        return self.plugin_ms < self.native_ms


def measured_path(folder: Path, machine: Machine, sources: str) -> Path:
    """Where the record of a machine lies.

    Args:
        folder: of engines.
        machine: with a device.
        sources: the hash of the kernels' sources.
    """
    device = machine.device
    assert device is not None
    words = f"{device.name} {device.compute_capability} {machine.tensorrt} {sources}"
    return (
        folder / f"attention-{''.join(c if c.isalnum() or c == '.' else '_' for c in words)}.json"
    )


def read_measured(path: Path) -> Measured | None:
    """The record, if there is one.

    Raises:
        InputError: the file is no such record.
    """
    if not path.is_file():
        return None
    try:
        found = parse_object(path.read_text(encoding="utf-8"))
        check_keys(found, [field.name for field in dataclasses.fields(Measured)], "it")
        return Measured(
            network=as_text(found["network"], "network"),
            onnx_sha256=as_text(found["onnx_sha256"], "onnx_sha256"),
            device=as_text(found["device"], "device"),
            tensorrt=as_text(found["tensorrt"], "tensorrt"),
            answers=as_integer(found["answers"], "answers"),
            native_ms=as_number(found["native_ms"], "native_ms"),
            plugin_ms=as_number(found["plugin_ms"], "plugin_ms"),
        )
    except (InputError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is no record of a measurement: {str(error).rstrip('.')}. Remove it, and "
            "measure again: effvit-edge export CHECKPOINT --attention measure."
        ) from error


def write_measured(path: Path, measured: Measured) -> None:
    """Keep a measurement; it replaces an older one."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(measured), indent=2) + "\n", "utf-8")
