"""What an engine is made of and for, and the key that all of it has."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import EnvironmentFault, InputError
from effvit_edge.core.files import sha256_file
from effvit_edge.core.onnx_header import OnnxHeader, read_onnx_header
from effvit_edge.engine.options import EngineOptions
from effvit_edge.engine.plugin import DOMAIN
from effvit_edge.engine.plugin.find import look_for_plugin
from effvit_edge.runtime.compatibility import this_system
from effvit_edge.runtime.device_memory import DeviceFacts, DeviceMemory
from effvit_edge.runtime.graph import CARD_KEY
from effvit_edge.runtime.kinds import is_plan
from effvit_edge.runtime.memory_open import open_device_memory
from effvit_edge.runtime.trt_library import Flavour, PlanLibrary, load_library, product

_OPSETS = range(17, 21)
_NEWEST_IR = 10
_KEY_DIGITS = 16


@dataclass(frozen=True)
class Machine:
    """TensorRT and the device of this machine."""

    flavour: Flavour
    tensorrt: str
    device: DeviceFacts | None
    """None where TensorRT-RTX builds without one."""
    system: str

    @property
    def builder(self) -> str:
        """For messages."""
        return f"{product(self.flavour)} {self.tensorrt}"


@dataclass(frozen=True)
class Source:
    """An ONNX file that an engine can be built of."""

    path: Path
    sha256: str
    card: ModelCard
    plugin: str | None
    """The hash of the attention plugin's sources, where a node needs it and it is built."""
    batched: bool
    """Whether it takes several streams or clips at once, which a session does not."""


@dataclass(frozen=True)
class Target:
    """All inputs of a build."""

    source: Source
    machine: Machine
    options: EngineOptions

    @property
    def key(self) -> str:
        """The same key, the same engine.

        Precision, calibration and shapes are in the ONNX file. The power mode is not in the key:
        a change of it should not cost a build.
        """
        parts = {
            "onnx": self.source.sha256,
            "plugin": self.source.plugin,
            "machine": dataclasses.asdict(self.machine),
            "options": dataclasses.asdict(self.options),
        }
        text = json.dumps(parts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]


def look_at_source(onnx: Path) -> Source:
    """Read what an ONNX file says about itself.

    Raises:
        InputError: it is not there, not an ONNX file of this package, or of a version that
            TensorRT does not read.
    """
    if not onnx.is_file():
        raise InputError(f"There is no ONNX file at {onnx}.")
    if is_plan(onnx):
        raise InputError(f"{onnx} is a TensorRT engine already. Give the ONNX file it came from.")
    header = read_onnx_header(onnx)
    _check_versions(onnx, header)
    if CARD_KEY not in header.metadata:
        raise InputError(
            f"{onnx} has no model card, so its labels and its input are unknown. "
            "Export the checkpoint with: effvit-edge export."
        )
    card = ModelCard.from_json(header.metadata[CARD_KEY], source=str(onnx))
    return Source(onnx, sha256_file(onnx), card, _needed_plugin(header), _is_batched(card, header))


def look_at_machine(
    flavour: Flavour,
    load: Callable[[Flavour], PlanLibrary] = load_library,
    open_memory: Callable[[], DeviceMemory] = open_device_memory,
) -> Machine:
    """What an engine would be built with and for.

    Raises:
        EnvironmentFault: TensorRT is not here; or no device, which TensorRT-RTX can do without.
    """
    library = load(flavour)
    device = None
    try:
        memory = open_memory()
    except EnvironmentFault:
        if flavour == "tensorrt":
            raise
    else:
        try:
            device = memory.facts()
        finally:
            memory.close()  # the build has the device for itself
    return Machine(flavour, library.version, device, this_system())


def _check_versions(onnx: Path, header: OnnxHeader) -> None:
    opset = header.opsets.get("", 0)
    if opset not in _OPSETS or header.ir_version > _NEWEST_IR:
        raise InputError(
            f"{onnx} is of opset {opset} and IR version {header.ir_version}; engines are built of "
            f"opsets {_OPSETS[0]} to {_OPSETS[-1]} and IR versions up to {_NEWEST_IR}. Export the "
            "checkpoint again with this version of effvit-edge."
        )


def _is_batched(card: ModelCard, header: OnnxHeader) -> bool:
    axes = 4 if card.mode == "clip" else 3
    return any(t.dtype == "uint8" and len(t.shape) > axes for t in header.inputs)


def _needed_plugin(header: OnnxHeader) -> str | None:
    """TensorRT takes the body that the file brings along, even where the plugin is known."""
    own = {name for name in header.ops if name.startswith(f"{DOMAIN}::")}
    if own <= header.functions:
        return None
    report = look_for_plugin()
    return report.sources if report.available else None
